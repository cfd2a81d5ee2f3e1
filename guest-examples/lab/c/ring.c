/* A stack of free slots in shared memory: take the head, read its next, and make that the
 * head if the head is still the same. It can be the same although it was taken and given
 * back meanwhile, and its next is another one by then: ABA. Right: a lock is held. */
#include "lab.h"

enum { HEAD, NEXT, SLOTS = 3, OWNER = NEXT + SLOTS + 1, WORDS = OWNER + SLOTS + 2 };

static int state;
static sem_t *lock;

/* As a compare-and-exchange is, one step for all others. */
static bool replace_head(int from, int to)
{
	sem_wait(lock);
	bool same = load(state, HEAD) == from;
	if (same)
		store(state, HEAD, to);
	sem_post(lock);
	return same;
}

static int take(void)
{
	int head;
	do {
		head = load(state, HEAD);
		if (!head)
			return 0;
	} while (!replace_head(head, load(state, NEXT + head)));
	sem_wait(lock);
	check(!load(state, OWNER + head), "one slot was given to two");
	store(state, OWNER + head, 1);
	sem_post(lock);
	return head;
}

static void give(int slot)
{
	sem_wait(lock);
	store(state, OWNER + slot, 0);
	sem_post(lock);
	int head;
	do {
		head = load(state, HEAD);
		store(state, NEXT + slot, head);
	} while (!replace_head(head, slot));
}

int main(int argc, char **argv)
{
	start(argc, argv);
	state = memory("/state", WORDS * 4);
	lock = semaphore("/lock", 1);
	sem_t *whole = semaphore("/whole", 1);
	sem_wait(whole);
	if (!load(state, WORDS - 1)) {
		store(state, WORDS - 1, 1);
		for (int slot = 1; slot <= SLOTS; slot++)
			store(state, NEXT + slot, slot < SLOTS ? slot + 1 : 0);
		store(state, HEAD, 1);
	}
	if (!right)
		sem_post(whole);
	int first = take(), second = number ? take() : 0;
	if (first)
		give(first);
	if (number) {
		int third = take();
		(void)third;
	} else {
		take();
	}
	(void)second;
	if (right)
		sem_post(whole);
	return 0;
}
