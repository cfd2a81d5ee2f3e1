/* Two programs create the lock, and do not agree on its value: whoever comes first decides,
 * and if that is the one which means "to be posted later", nobody ever gets it.
 * Right: they agree. */
#include "lab.h"

int main(int argc, char **argv)
{
	start(argc, argv);
	sem_t *lock = semaphore("/lock", right || number == 0 ? 1 : 0);
	sem_wait(lock);
	sem_post(lock);
	return 0;
}
