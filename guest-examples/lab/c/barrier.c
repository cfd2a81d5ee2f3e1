/* A barrier that is used twice: whoever is fast comes round and takes the place of one that
 * still waits in the first round. Right: each round has a semaphore of its own. */
#include "lab.h"

enum { MEMBERS = 2, ROUNDS = 2 };

int main(int argc, char **argv)
{
	start(argc, argv);
	int state = memory("/state", 4 * ROUNDS);
	sem_t *lock = semaphore("/lock", 1);
	sem_t *turns[ROUNDS] = {semaphore("/turn-0", 0), semaphore("/turn-1", 0)};
	int rounds = memory("/rounds", 4 * MEMBERS);
	for (int round = 0; round < ROUNDS; round++) {
		sem_t *turn = turns[right ? round : 0];
		sem_wait(lock);
		store(rounds, number, round);
		int arrived = load(state, round) + 1;
		store(state, round, arrived);
		sem_post(lock);
		if (arrived == MEMBERS)
			for (int i = 0; i < MEMBERS; i++)
				sem_post(turn);
		sem_wait(turn);
		check(load(rounds, 1 - number) >= round, "passed before the other had come");
	}
	return 0;
}
