/* What benches/ipc does natively, in C: for this machine and as a guest.
 *
 * Reads lines of: what, how often, and a size; answers each with nanoseconds, or with - if
 * it does no such thing. The arguments say the names, and whether mappings are the objects:
 * where they are copies, memory is read and written by calls. */
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define LONGEST_MESSAGE 8192

static const char *gate_name, *jobs_name, *object_name;
static sem_t *gate;
static mqd_t jobs;
static int object;
static char *memory; /* NULL where a mapping is a copy */
static char *buffer;

static void check(bool done, const char *what)
{
    if (!done) {
        perror(what);
        exit(1);
    }
}

/* An address of which the compiler knows nothing. */
static void *unknown(void *address)
{
    __asm__ volatile("" : "+r"(address) : : "memory");
    return address;
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void read_object(size_t size)
{
    if (memory) {
        memcpy(unknown(buffer), unknown(memory), size);
        return;
    }
    for (size_t at = 0; at < size;) {
        ssize_t read = pread(object, buffer + at, size - at, (off_t)at);
        check(read > 0, "pread");
        at += (size_t)read;
    }
}

static void write_object(size_t size)
{
    if (memory)
        memcpy(unknown(memory), unknown(buffer), size);
    else
        check(pwrite(object, buffer, size, 0) == (ssize_t)size, "pwrite");
}

static bool answer(const char *what, uint64_t count, size_t size)
{
    uint64_t start = now();
    if (strcmp(what, "sem-pair") == 0) {
        while (count-- > 0)
            check(sem_post(gate) == 0 && sem_trywait(gate) == 0, what);
    } else if (strcmp(what, "sem-release") == 0) {
        while (count-- > 0)
            check(sem_post(gate) == 0, what);
    } else if (strcmp(what, "mq") == 0) {
        unsigned priority;
        while (count-- > 0) {
            check(mq_send(jobs, buffer, size, 0) == 0, what);
            check(mq_receive(jobs, buffer, LONGEST_MESSAGE, &priority) == (ssize_t)size, what);
        }
    } else if (strcmp(what, "shm-read") == 0) {
        while (count-- > 0)
            read_object(size);
    } else if (strcmp(what, "shm-write") == 0) {
        while (count-- > 0)
            write_object(size);
    } else if (strcmp(what, "atomic") == 0 && memory) {
        uint32_t *word = (uint32_t *)memory;
        while (count-- > 0)
            __atomic_fetch_add((uint32_t *)unknown(word), 1, __ATOMIC_SEQ_CST);
    } else if (strcmp(what, "sem-open") == 0) {
        while (count-- > 0) {
            sem_t *other = sem_open(gate_name, 0);
            check(other != SEM_FAILED && sem_close(other) == 0, what);
        }
    } else if (strcmp(what, "shm-open") == 0) {
        while (count-- > 0) {
            int other = shm_open(object_name, O_RDWR, 0);
            check(other >= 0 && close(other) == 0, what);
        }
    } else if (strcmp(what, "mq-open") == 0) {
        while (count-- > 0) {
            mqd_t other = mq_open(jobs_name, O_RDWR);
            check(other != (mqd_t)-1 && mq_close(other) == 0, what);
        }
    } else {
        return false;
    }
    printf("%llu\n", (unsigned long long)(now() - start));
    return true;
}

/* What is behind `key=` among the arguments. */
static const char *argument(char **arguments, const char *key)
{
    size_t length = strlen(key);
    for (; *arguments; arguments++)
        if (strncmp(*arguments, key, length) == 0 && (*arguments)[length] == '=')
            return *arguments + length + 1;
    fprintf(stderr, "no argument %s=...\n", key);
    exit(2);
}

int main(int count, char **arguments)
{
    if (count == 1)
        return 0; /* For measuring how long it takes to get here. */
    gate_name = argument(arguments, "gate");
    jobs_name = argument(arguments, "jobs");
    object_name = argument(arguments, "object");
    gate = sem_open(gate_name, 0);
    check(gate != SEM_FAILED, "sem_open");
    jobs = mq_open(jobs_name, O_RDWR);
    check(jobs != (mqd_t)-1, "mq_open");
    object = shm_open(object_name, O_RDWR, 0);
    check(object >= 0, "shm_open");
    struct stat status;
    check(fstat(object, &status) == 0, "fstat");
    size_t size = (size_t)status.st_size;
    if (strcmp(argument(arguments, "mapping"), "yes") == 0) {
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, object, 0);
        check(memory != MAP_FAILED, "mmap");
    }
    /* In the middle of a page, as the buffers of all: copying between addresses that are
     * equal in their lower bits is slow. */
    char *room = malloc(size + 2 * PAGE);
    check(room, "malloc");
    memset(room, 1, size + 2 * PAGE);
    buffer = room + (PAGE + PAGE / 2 - (uintptr_t)room % PAGE) % PAGE;

    puts("ready");
    fflush(stdout);
    char what[32];
    unsigned long long times, bytes;
    while (scanf("%31s %llu %llu", what, &times, &bytes) == 3) {
        if (!answer(what, times, (size_t)bytes))
            puts("-");
        fflush(stdout);
    }
    return 0;
}
