/* The native side of tests/sandbox/peers.rs. Each command is one test's.
 *
 *     peer count SEGMENT COUNT
 *     peer semaphores PING PONG SEGMENT ROUNDS
 *     peer queues REQUESTS ANSWERS COUNT
 *     peer words SEGMENT ROUNDS
 *     peer shrink-segment SEGMENT SIZE
 *     peer shrink-semaphore SEMAPHORE
 *
 * The objects exist; nothing is created or unlinked. The last two go on until they are
 * killed.
 */
#define _GNU_SOURCE

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHECK(condition)                                                                   \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            fprintf(stderr, "%s:%d: %s: %m\n", __FILE__, __LINE__, #condition);            \
            _exit(1);                                                                      \
        }                                                                                  \
    } while (0)

static void *map(const char *name)
{
    struct stat about;
    int file = shm_open(name, O_RDWR, 0);
    CHECK(file >= 0);
    CHECK(fstat(file, &about) == 0);
    void *memory = mmap(NULL, (size_t)about.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(memory != MAP_FAILED);
    close(file);
    return memory;
}

static sem_t *open_semaphore(const char *name)
{
    sem_t *semaphore = sem_open(name, 0);
    CHECK(semaphore != SEM_FAILED);
    return semaphore;
}

/* ---- counting ---------------------------------------------------------------------- */

struct counters {
    _Atomic uint32_t small;
    uint32_t unused;
    _Atomic uint64_t large;
    _Atomic uint32_t guest_progress;
    _Atomic uint32_t present;
};

static void count(const char *name, uint32_t number)
{
    /* How far this side may be ahead of the other, which is slower: so both count at the
     * same time until the end. */
    enum { AHEAD = 2000 };
    struct counters *counters = map(name);
    atomic_fetch_add(&counters->present, 1);
    while (atomic_load(&counters->present) < 2)
        sched_yield();
    for (uint32_t i = 0; i < number; i++) {
        while (i > atomic_load(&counters->guest_progress) + AHEAD)
            sched_yield();
        atomic_fetch_add(&counters->small, 1);
        atomic_fetch_add(&counters->large, 1);
    }
}

/* ---- semaphores -------------------------------------------------------------------- */

/* Whose turn it is may write the number, which is no atomic. */
static void semaphores(const char *ping, const char *pong, const char *name, uint32_t rounds)
{
    sem_t *mine = open_semaphore(ping), *theirs = open_semaphore(pong);
    uint32_t *number = map(name);
    for (uint32_t i = 0; i < rounds; i++) {
        CHECK(sem_wait(mine) == 0);
        CHECK(*number == 2 * i);
        *number = 2 * i + 1;
        CHECK(sem_post(theirs) == 0);
    }
}

/* ---- queues ------------------------------------------------------------------------ */

/* A message is its number and some bytes that follow from it; an answer has them all
 * inverted. Messages of one priority arrive in order. */
enum { PRIORITIES = 3, MESSAGE_SIZE = 64 };

static size_t fill(unsigned char *message, uint32_t number)
{
    size_t length = sizeof number + number % (MESSAGE_SIZE - sizeof number + 1);
    memcpy(message, &number, sizeof number);
    for (size_t i = sizeof number; i < length; i++)
        message[i] = (unsigned char)(number * 31 + i);
    return length;
}

struct sender {
    mqd_t queue;
    uint32_t count;
};

static void *send_all(void *argument)
{
    struct sender *sender = argument;
    unsigned char message[MESSAGE_SIZE];
    for (uint32_t i = 0; i < sender->count; i++) {
        size_t length = fill(message, i);
        CHECK(mq_send(sender->queue, (char *)message, length, i % PRIORITIES) == 0);
    }
    return NULL;
}

static void queues(const char *requests, const char *answers, uint32_t count)
{
    struct sender sender = {.queue = mq_open(requests, O_WRONLY), .count = count};
    mqd_t queue = mq_open(answers, O_RDONLY);
    CHECK(sender.queue != (mqd_t)-1 && queue != (mqd_t)-1);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, send_all, &sender) == 0);

    uint32_t next[PRIORITIES];
    for (uint32_t i = 0; i < PRIORITIES; i++)
        next[i] = i;
    for (uint32_t i = 0; i < count; i++) {
        unsigned char message[MESSAGE_SIZE], expected[MESSAGE_SIZE];
        unsigned priority;
        ssize_t length = mq_receive(queue, (char *)message, sizeof message, &priority);
        CHECK(length >= 0 && priority < PRIORITIES);
        CHECK((size_t)length == fill(expected, next[priority]));
        for (ssize_t j = 0; j < length; j++)
            CHECK(message[j] == (unsigned char)~expected[j]);
        next[priority] += PRIORITIES;
    }
    CHECK(pthread_join(thread, NULL) == 0);
}

/* ---- words ------------------------------------------------------------------------- */

static long futex(_Atomic uint32_t *word, int operation, uint32_t value)
{
    return syscall(SYS_futex, word, operation, value, NULL);
}

static void words(const char *name, uint32_t rounds)
{
    _Atomic uint32_t *word = map(name);
    for (uint32_t i = 0; i < rounds; i++) {
        while (atomic_load(word) == 2 * i)
            futex(word, FUTEX_WAIT, 2 * i);
        CHECK(atomic_load(word) == 2 * i + 1);
        atomic_store(word, 2 * i + 2);
        CHECK(futex(word, FUTEX_WAKE, 1) >= 0);
    }
}

/* ---- hostility --------------------------------------------------------------------- */

static void shrink_segment(const char *name, size_t size)
{
    /* To nothing, to the midst of a page, and to whole pages. */
    static const off_t sizes[] = {0, 100, 4096, 5000, 8192};
    unsigned char *pattern = malloc(size);
    CHECK(pattern != NULL);
    memset(pattern, 0x5a, size);
    int file = shm_open(name, O_RDWR, 0);
    CHECK(file >= 0);
    puts("shrinking");
    fflush(stdout);
    for (unsigned i = 0;; i++) {
        CHECK(ftruncate(file, sizes[i % (sizeof sizes / sizeof *sizes)]) == 0);
        sched_yield();
        CHECK(ftruncate(file, (off_t)size) == 0);
        CHECK(pwrite(file, pattern, size, 0) == (ssize_t)size);
        sched_yield();
    }
}

static void shrink_semaphore(const char *name)
{
    char path[NAME_MAX + 32];
    snprintf(path, sizeof path, "/dev/shm/sem.%s", name + 1);
    int file = open(path, O_RDWR);
    CHECK(file >= 0);
    puts("shrinking");
    fflush(stdout);
    for (;;) {
        CHECK(ftruncate(file, 0) == 0);
        sched_yield();
        CHECK(ftruncate(file, sizeof(sem_t)) == 0);
        usleep(50);
    }
}

static uint32_t number(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

int main(int count_of, char **arguments)
{
    const char *command = count_of > 1 ? arguments[1] : "";
    char **rest = arguments + 2;
    if (count_of == 4 && strcmp(command, "count") == 0)
        count(rest[0], number(rest[1]));
    else if (count_of == 6 && strcmp(command, "semaphores") == 0)
        semaphores(rest[0], rest[1], rest[2], number(rest[3]));
    else if (count_of == 5 && strcmp(command, "queues") == 0)
        queues(rest[0], rest[1], number(rest[2]));
    else if (count_of == 4 && strcmp(command, "words") == 0)
        words(rest[0], number(rest[1]));
    else if (count_of == 4 && strcmp(command, "shrink-segment") == 0)
        shrink_segment(rest[0], number(rest[1]));
    else if (count_of == 3 && strcmp(command, "shrink-semaphore") == 0)
        shrink_semaphore(rest[0]);
    else
        return 2;
    return 0;
}
