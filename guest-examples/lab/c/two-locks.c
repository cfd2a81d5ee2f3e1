/* Two workers take two locks, each in its own order: a deadlock if each takes its first
 * lock before the other takes its second. With "right" both take them in one order.
 *
 * usage: two-locks NUMBER [right] */
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	int number = argc > 1 ? atoi(argv[1]) : 0;
	int right = argc > 2 && strcmp(argv[2], "right") == 0;
	sem_t *locks[2] = {
		sem_open("/left", O_CREAT, 0600, 1),
		sem_open("/right", O_CREAT, 0600, 1),
	};
	if (locks[0] == SEM_FAILED || locks[1] == SEM_FAILED) {
		perror("sem_open");
		return 1;
	}
	int first = right ? 0 : number % 2;
	sem_wait(locks[first]);
	sem_wait(locks[1 - first]);
	printf("%d works\n", number);
	sem_post(locks[1 - first]);
	sem_post(locks[first]);
	return 0;
}
