/* The consumer looks whether the data is there and then says that it waits; the producer
 * wakes it only if it has said so. The producer may come between the two: nobody wakes the
 * consumer. Right: the semaphore counts, and is posted in any case. */
#include "lab.h"

enum { READY, WAITING };

int main(int argc, char **argv)
{
	start(argc, argv);
	int state = memory("/state", 8);
	sem_t *wake = semaphore("/wake", 0);
	if (number == 0) {
		if (right) {
			sem_wait(wake);
		} else if (!load(state, READY)) {
			store(state, WAITING, 1);
			sem_wait(wake);
		}
		check(load(state, READY), "woken without data");
	} else {
		store(state, READY, 1);
		if (right || load(state, WAITING))
			sem_post(wake);
	}
	return 0;
}
