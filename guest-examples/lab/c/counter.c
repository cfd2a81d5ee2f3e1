/* Everybody reads the counter, adds one, and writes it: two that read the same value count
 * once together. Right: a lock is held from the read to the write. */
#include "lab.h"

enum { MEMBERS = 2 };

int main(int argc, char **argv)
{
	start(argc, argv);
	int state = memory("/state", 8);
	sem_t *lock = semaphore("/lock", 1);
	sem_t *done = semaphore("/done", 0);
	if (right)
		sem_wait(lock);
	store(state, 0, load(state, 0) + 1);
	if (right)
		sem_post(lock);
	sem_post(done);
	if (number == 0) {
		for (int i = 0; i < MEMBERS; i++)
			sem_wait(done);
		check(load(state, 0) == MEMBERS, "the counter has lost something");
	}
	return 0;
}
