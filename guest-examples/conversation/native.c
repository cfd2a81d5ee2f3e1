/* The native side of a conversation over POSIX IPC.
 *
 *     native PREFIX [MESSAGES [SEED]]     talk
 *     native --unlink PREFIX              remove what a killed run left behind
 *
 * It creates the objects PREFIX.data (shared memory), PREFIX.ping and PREFIX.pong
 * (semaphores), PREFIX.jobs and PREFIX.answers (message queues), says that it is ready,
 * and talks to whoever opens them. README.md has the protocol. Nothing here knows that the
 * other side is a WebAssembly guest.
 *
 *     cc -O2 -Wall -Wextra -Werror native.c -o native -pthread -lrt
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <mqueue.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* No wait is longer than this: a side whose peer is gone must not hang. */
enum { TIMEOUT_SECONDS = 10 };

/* Round 1: one message in shared memory. */
enum { KIND = 0, SEQUENCE = 4, LENGTH = 8, CHECKSUM = 16, PAYLOAD = 24, PAYLOAD_MAX = 8192 };
enum { KIND_MESSAGE = 1, KIND_END = 2 };

/* Round 2: small queues, as a user's allowance for them (RLIMIT_MSGQUEUE) is small. */
enum { QUEUE_MESSAGES = 8, MESSAGE_SIZE = 256, PRIORITIES = 32 };
/* A job is its sequence number and its payload, an answer a number and a checksum. */
enum { JOB_HEADER = 4, ANSWER_SIZE = 12 };

static const uint64_t FNV_OFFSET = 0xcbf29ce484222325;
static const uint64_t FNV_PRIME = 0x00000100000001b3;

/* ---- the objects ------------------------------------------------------------------- */

enum { DATA, PING, PONG, JOBS, ANSWERS, OBJECTS };
static const char *const SUFFIX[OBJECTS] = {".data", ".ping", ".pong", ".jobs", ".answers"};

static char names[OBJECTS][NAME_MAX + 1];
/* Only what this process made is its own to remove. */
static bool made[OBJECTS];
static volatile sig_atomic_t stopped;

static void remove_objects(void)
{
    for (int i = 0; i < OBJECTS; i++) {
        if (!made[i])
            continue;
        made[i] = false;
        if (i == DATA)
            shm_unlink(names[i]);
        else if (i == PING || i == PONG)
            sem_unlink(names[i]);
        else
            mq_unlink(names[i]);
    }
}

static void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("native: error: ", stdout);
    vprintf(format, arguments);
    puts("\nnative: gave up, errors: 1");
    va_end(arguments);
    exit(EXIT_FAILURE); /* which removes the objects */
}

static void stop(int signal)
{
    (void)signal;
    stopped = 1;
}

static void name_objects(const char *prefix)
{
    for (int i = 0; i < OBJECTS; i++) {
        int length = snprintf(names[i], sizeof names[i], "%s%s", prefix, SUFFIX[i]);
        if (prefix[0] != '/' || length < 0 || (size_t)length >= sizeof names[i])
            fail("not a prefix for names: %s", prefix);
    }
}

static unsigned char *create_memory(void)
{
    size_t size = PAYLOAD + PAYLOAD_MAX;
    int file = shm_open(names[DATA], O_RDWR | O_CREAT | O_EXCL, 0600);
    if (file < 0)
        fail("shm_open %s: %s", names[DATA], strerror(errno));
    made[DATA] = true;
    if (ftruncate(file, (off_t)size) != 0)
        fail("ftruncate %s: %s", names[DATA], strerror(errno));
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED)
        fail("mmap %s: %s", names[DATA], strerror(errno));
    close(file);
    return memory;
}

static sem_t *create_semaphore(int which)
{
    sem_t *semaphore = sem_open(names[which], O_CREAT | O_EXCL, 0600, 0);
    if (semaphore == SEM_FAILED)
        fail("sem_open %s: %s", names[which], strerror(errno));
    made[which] = true;
    return semaphore;
}

static mqd_t create_queue(int which, int direction)
{
    struct mq_attr size = {.mq_maxmsg = QUEUE_MESSAGES, .mq_msgsize = MESSAGE_SIZE};
    mqd_t queue = mq_open(names[which], direction | O_CREAT | O_EXCL, 0600, &size);
    if (queue == (mqd_t)-1)
        fail("mq_open %s: %s", names[which], strerror(errno));
    made[which] = true;
    return queue;
}

/* ---- small things ------------------------------------------------------------------ */

static struct timespec deadline(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec += TIMEOUT_SECONDS;
    return now;
}

static void post(sem_t *semaphore)
{
    if (sem_post(semaphore) != 0)
        fail("sem_post: %s", strerror(errno));
}

static void await(sem_t *semaphore, const char *what)
{
    struct timespec until = deadline();
    while (sem_timedwait(semaphore, &until) != 0)
        if (errno != EINTR || stopped)
            fail("waiting for %s: %s", what, strerror(errno));
    /* The signal may have come at any other moment. */
    if (stopped)
        fail("stopped by a signal");
}

/* Numbers are little-endian, whatever the machine is. */
static void put(unsigned char *to, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        to[i] = (unsigned char)(value >> 8 * i);
}

static uint64_t get(const unsigned char *from, size_t size)
{
    uint64_t value = 0;
    for (size_t i = size; i-- > 0;)
        value = value << 8 | from[i];
    return value;
}

/* FNV-1a, going on from `sum`: a chain over all messages so far, which shows one that is
 * lost, repeated, reordered or torn. */
static uint64_t fnv(uint64_t sum, const unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        sum = (sum ^ bytes[i]) * FNV_PRIME;
    return sum;
}

static uint64_t chain(uint64_t sum, uint32_t number, const unsigned char *bytes, size_t length)
{
    unsigned char head[8];
    put(head, number, 4);
    put(head + 4, length, 4);
    return fnv(fnv(sum, head, sizeof head), bytes, length);
}

/* splitmix64 */
static uint64_t random_state;

static uint64_t random_number(void)
{
    uint64_t mixed = random_state += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
}

static void random_bytes(unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (unsigned char)random_number();
}

static uint64_t messages, bytes;

/* ---- round 1: shared memory -------------------------------------------------------- */

static void round_one(unsigned char *memory, sem_t *ping, sem_t *pong, uint32_t count)
{
    static unsigned char sent[PAYLOAD_MAX];
    uint64_t out = FNV_OFFSET, back = FNV_OFFSET, total = 0;

    for (uint32_t number = 1; number <= count; number++) {
        uint32_t length = (uint32_t)(random_number() % (PAYLOAD_MAX + 1));
        random_bytes(sent, length);
        out = chain(out, number, sent, length);
        memcpy(memory + PAYLOAD, sent, length);
        put(memory + KIND, KIND_MESSAGE, 4);
        put(memory + SEQUENCE, number, 4);
        put(memory + LENGTH, length, 4);
        put(memory + CHECKSUM, out, 8);
        post(ping);

        await(pong, "an answer");
        if (get(memory + KIND, 4) != KIND_MESSAGE || get(memory + SEQUENCE, 4) != number)
            fail("message %" PRIu32 " has another one's answer", number);
        if (get(memory + LENGTH, 4) != length)
            fail("the answer to message %" PRIu32 " has another length", number);
        for (uint32_t i = 0; i < length; i++)
            if (memory[PAYLOAD + i] != (unsigned char)(sent[length - 1 - i] ^ number))
                fail("the answer to message %" PRIu32 " is wrong at byte %" PRIu32, number, i);
        back = chain(back, number, memory + PAYLOAD, length);
        if (get(memory + CHECKSUM, 8) != back)
            fail("the checksum of answer %" PRIu32 " is wrong", number);
        total += 2 * (uint64_t)length;
    }

    put(memory + KIND, KIND_END, 4);
    put(memory + SEQUENCE, count, 4);
    put(memory + LENGTH, 0, 4);
    put(memory + CHECKSUM, out, 8);
    post(ping);
    await(pong, "the end of round 1");
    if (get(memory + KIND, 4) != KIND_END || get(memory + SEQUENCE, 4) != count ||
        get(memory + CHECKSUM, 8) != back)
        fail("the two sides do not agree on round 1");

    messages += 2 * (uint64_t)count;
    bytes += total;
    printf("native: round 1, shared memory:  %" PRIu32 " messages out, %" PRIu32
           " answers back, %" PRIu64 " bytes, checksums %016" PRIx64 " %016" PRIx64 "\n",
           count, count, total, out, back);
}

/* ---- round 2: message queues ------------------------------------------------------- */

struct job {
    unsigned priority;
    uint32_t number;
    size_t length;
    unsigned char payload[MESSAGE_SIZE - JOB_HEADER];
};

static void send_job(mqd_t jobs, const struct job *job)
{
    unsigned char message[MESSAGE_SIZE];
    struct timespec until = deadline();
    put(message, job->number, JOB_HEADER);
    memcpy(message + JOB_HEADER, job->payload, job->length);
    while (mq_timedsend(jobs, (char *)message, JOB_HEADER + job->length, job->priority, &until))
        if (errno != EINTR || stopped)
            fail("sending job %" PRIu32 ": %s", job->number, strerror(errno));
}

static void expect_answer(mqd_t answers, const struct job *job, uint64_t checksum)
{
    unsigned char message[MESSAGE_SIZE];
    unsigned priority;
    ssize_t length;
    struct timespec until = deadline();
    while ((length = mq_timedreceive(answers, (char *)message, sizeof message, &priority,
                                     &until)) < 0)
        if (errno != EINTR || stopped)
            fail("waiting for the answer to job %" PRIu32 ": %s", job->number, strerror(errno));
    if (length != ANSWER_SIZE || get(message, 4) != job->number || priority != job->priority)
        fail("job %" PRIu32 " has another one's answer", job->number);
    if (get(message + 4, 8) != checksum)
        fail("the checksum of job %" PRIu32 " is wrong", job->number);
}

/* The order in which a queue hands its messages out. */
static int compare_jobs(const void *left, const void *right)
{
    const struct job *a = left, *b = right;
    if (a->priority != b->priority)
        return a->priority < b->priority ? 1 : -1;
    return a->number < b->number ? -1 : 1;
}

static void round_two(mqd_t jobs, mqd_t answers, sem_t *ping, sem_t *pong, uint32_t count)
{
    uint64_t sum = FNV_OFFSET, total = 0;
    uint32_t number = 0;

    while (number < count) {
        /* All of a batch is in the queue before the other side is told to look: only then
         * does the order say something about the queue. */
        struct job batch[QUEUE_MESSAGES];
        size_t size = 1 + random_number() % QUEUE_MESSAGES;
        if (size > count - number)
            size = count - number;
        for (size_t i = 0; i < size; i++) {
            struct job *job = &batch[i];
            job->number = ++number;
            /* Few enough that some are equal, and the older of those has to come first. */
            job->priority = (unsigned)(random_number() % 4 * (PRIORITIES / 4));
            job->length = random_number() % (sizeof job->payload + 1);
            random_bytes(job->payload, job->length);
            send_job(jobs, job);
            total += JOB_HEADER + job->length + ANSWER_SIZE;
        }
        post(ping);

        await(pong, "the answers to a batch");
        qsort(batch, size, sizeof batch[0], compare_jobs);
        for (size_t i = 0; i < size; i++) {
            sum = chain(sum, batch[i].number, batch[i].payload, batch[i].length);
            expect_answer(answers, &batch[i], sum);
        }
    }

    /* An empty batch is the end. */
    post(ping);
    await(pong, "the end of round 2");

    struct mq_attr rest;
    if (mq_getattr(jobs, &rest) != 0 || rest.mq_curmsgs != 0)
        fail("jobs were left in the queue");
    if (mq_getattr(answers, &rest) != 0 || rest.mq_curmsgs != 0)
        fail("there are more answers than jobs");

    messages += 2 * (uint64_t)count;
    bytes += total;
    printf("native: round 2, message queues: %" PRIu32 " jobs out, %" PRIu32
           " answers back, %" PRIu64 " bytes, checksum %016" PRIx64 "\n",
           count, count, total, sum);
}

/* ------------------------------------------------------------------------------------ */

static uint64_t number_argument(const char *text, uint64_t max)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value > max)
        fail("not a number up to %" PRIu64 ": %s", max, text);
    return value;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 3 && strcmp(argv[1], "--unlink") == 0) {
        name_objects(argv[2]);
        for (int i = 0; i < OBJECTS; i++)
            made[i] = true;
        remove_objects();
        return EXIT_SUCCESS;
    }
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: native PREFIX [MESSAGES [SEED]]\n       native --unlink PREFIX\n");
        return 2;
    }
    name_objects(argv[1]);
    uint32_t count = (uint32_t)number_argument(argc > 2 ? argv[2] : "3000", 1000000);
    random_state = number_argument(argc > 3 ? argv[3] : "1", UINT64_MAX);

    /* A signal ends whatever wait is going on, and the objects go with the process. */
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    atexit(remove_objects);

    unsigned char *memory = create_memory();
    sem_t *ping = create_semaphore(PING);
    sem_t *pong = create_semaphore(PONG);
    mqd_t jobs = create_queue(JOBS, O_WRONLY);
    mqd_t answers = create_queue(ANSWERS, O_RDONLY);
    puts("native: ready");

    round_one(memory, ping, pong, count);
    round_two(jobs, answers, ping, pong, count);
    printf("native: done, %" PRIu64 " messages, %" PRIu64 " bytes, errors: 0\n", messages, bytes);
    return EXIT_SUCCESS;
}
