/* Copies within shared memory, to it and from it, of every length and overlap that takes a
 * way of its own: `copies NAME`. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROOM 4096
#define START 1000

static unsigned char pattern(size_t at, size_t length)
{
    return (unsigned char)(at * 7 + at / 256 + length);
}

/* Whether a copy of so many bytes to so much behind them leaves what it should. */
static int is_right(volatile unsigned char *memory, size_t length, int shift, unsigned char *between)
{
    unsigned char expected[ROOM];
    for (size_t i = 0; i < ROOM; i++)
        memory[i] = expected[i] = pattern(i, length);
    unsigned char *from = (unsigned char *)memory + START, *to = from + shift;
    for (size_t i = 0; i < length; i++)
        expected[START + shift + i] = pattern(START + i, length);
    if (between) {
        memcpy(between, from, length);
        memcpy(to, between, length);
    } else {
        memmove(to, from, length);
    }
    for (size_t i = 0; i < ROOM; i++)
        if (memory[i] != expected[i]) {
            printf("%zu bytes moved by %d: wrong at %zu\n", length, shift, i);
            return 0;
        }
    return 1;
}

int main(int count, char **arguments)
{
    if (count != 2)
        return 2;
    int object = shm_open(arguments[1], O_CREAT | O_RDWR, 0600);
    if (object < 0 || ftruncate(object, ROOM) < 0) {
        perror("shm_open");
        return 1;
    }
    unsigned char *shared = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_SHARED, object, 0);
    unsigned char *own = malloc(ROOM), *between = malloc(ROOM);
    if (shared == MAP_FAILED || !own || !between) {
        perror("memory");
        return 1;
    }
    size_t right = 0;
    for (size_t length = 0; length < 1200; length += length < 300 ? 1 : 37)
        for (int shift = -150; shift <= 150; shift += 25) {
            right += is_right(shared, length, shift, NULL);
            right += is_right(shared, length, shift, between);
            right += is_right(own, length, shift, NULL);
        }
    printf("%zu copies right\n", right);
    return shm_unlink(arguments[1]) < 0;
}
