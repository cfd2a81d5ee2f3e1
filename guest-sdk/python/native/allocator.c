/* Small objects. CPython on WASI has no allocator of its own: each object goes to that of the C
 * library, which takes more time than making most objects does.
 *
 * Memory is taken in pools of 64 KiB, at such an address. A pool has blocks of one size, and a
 * list of its free ones. A pool without used blocks serves any size again. What is larger, and
 * what is from before this was installed, is the former allocator's. */
#include "module.h"

#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 65536u
/* Leaves room for what the C library notes before the next pool, which is then close. */
#define POOL (ALIGNMENT - 64)
#define GRAIN 16u
#define LARGEST 512u
#define CLASSES (LARGEST / GRAIN)
#define FREE_POOLS 16u

struct block {
	struct block *next;
};

struct pool {
	struct pool *next, *before; /* among those of this class with free blocks */
	struct block *free;
	uint32_t used, class;
	uint32_t fresh; /* where the blocks start that were never used */
} __attribute__((__aligned__(GRAIN)));

/* By the upper half of the address: whether it is a pool's. */
static bool pools[65536];
static struct pool *usable[CLASSES];
static struct pool *unused[FREE_POOLS];
static unsigned unused_count;

static PyMemAllocatorEx former;

static struct pool *pool_of(const void *block) {
	return (struct pool *)((uintptr_t)block & ~(uintptr_t)(ALIGNMENT - 1));
}

/* Behind a pool, up to the next such address, the C library may have a block of its own. */
static bool is_small(const void *block) {
	return pools[(uintptr_t)block / ALIGNMENT] && (uintptr_t)block % ALIGNMENT < POOL;
}

static uint32_t size_of(const struct pool *pool) {
	return (pool->class + 1) * GRAIN;
}

static void link_pool(struct pool *pool) {
	pool->before = NULL;
	pool->next = usable[pool->class];
	if (pool->next)
		pool->next->before = pool;
	usable[pool->class] = pool;
}

static void unlink_pool(struct pool *pool) {
	if (pool->next)
		pool->next->before = pool->before;
	if (pool->before)
		pool->before->next = pool->next;
	else
		usable[pool->class] = pool->next;
}

static struct pool *new_pool(uint32_t class) {
	void *room = unused_count ? unused[--unused_count] : NULL;
	if (!room && posix_memalign(&room, ALIGNMENT, POOL) != 0)
		return NULL;
	struct pool *pool = room;
	*pool = (struct pool){.class = class, .fresh = sizeof *pool};
	pools[(uintptr_t)pool / ALIGNMENT] = true;
	link_pool(pool);
	return pool;
}

static void *small_malloc(void *context, size_t size) {
	if (size > LARGEST)
		return former.malloc(former.ctx, size);
	uint32_t class = size ? (uint32_t)(size - 1) / GRAIN : 0;
	struct pool *pool = usable[class];
	if (!pool && !(pool = new_pool(class)))
		return NULL;
	struct block *block = pool->free;
	if (block) {
		pool->free = block->next;
	} else {
		block = (struct block *)((char *)pool + pool->fresh);
		pool->fresh += size_of(pool);
	}
	pool->used++;
	if (!pool->free && pool->fresh + size_of(pool) > POOL)
		unlink_pool(pool);
	return block;
}

static void small_free(void *context, void *pointer) {
	if (!is_small(pointer)) {
		former.free(former.ctx, pointer);
		return;
	}
	struct pool *pool = pool_of(pointer);
	struct block *block = pointer;
	bool was_full = !pool->free && pool->fresh + size_of(pool) > POOL;
	block->next = pool->free;
	pool->free = block;
	if (was_full)
		link_pool(pool);
	/* The last of its class stays: it is wanted again soon. */
	if (--pool->used > 0 || (usable[pool->class] == pool && !pool->next))
		return;
	unlink_pool(pool);
	if (unused_count < FREE_POOLS) {
		unused[unused_count++] = pool;
	} else {
		pools[(uintptr_t)pool / ALIGNMENT] = false;
		free(pool);
	}
}

static void *small_calloc(void *context, size_t count, size_t size) {
	if (size != 0 && count > LARGEST / size)
		return former.calloc(former.ctx, count, size);
	void *block = small_malloc(context, count * size);
	return block ? memset(block, 0, count * size) : NULL;
}

static void *small_realloc(void *context, void *pointer, size_t size) {
	if (!pointer)
		return small_malloc(context, size);
	if (!is_small(pointer))
		return former.realloc(former.ctx, pointer, size);
	size_t before = size_of(pool_of(pointer));
	/* Where it fits and is not much too large, it stays. */
	if (size <= before && size > before / 2)
		return pointer;
	void *moved = small_malloc(context, size);
	if (moved) {
		memcpy(moved, pointer, size < before ? size : before);
		small_free(context, pointer);
	}
	return moved;
}

void allocator_install(void) {
	PyMemAllocatorEx small = {NULL, small_malloc, small_calloc, small_realloc, small_free};
	/* Both are the C library's before, so one may free what is the other's. */
	PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, &former);
	PyMem_SetAllocator(PYMEM_DOMAIN_OBJ, &small);
	PyMem_SetAllocator(PYMEM_DOMAIN_MEM, &small);
}
