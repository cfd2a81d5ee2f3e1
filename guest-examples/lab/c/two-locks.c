/* Two workers take two locks, each in its own order: they wait for each other for ever if
 * each has taken its first. Right: both take them in the same order. */
#include "lab.h"

int main(int argc, char **argv)
{
	start(argc, argv);
	sem_t *locks[] = {semaphore("/left", 1), semaphore("/right", 1)};
	int first = right ? 0 : number % 2;
	sem_wait(locks[first]);
	sem_wait(locks[1 - first]);
	sem_post(locks[1 - first]);
	sem_post(locks[first]);
	return 0;
}
