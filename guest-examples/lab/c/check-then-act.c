/* Exactly one is to lead: the one that finds nobody. Two can find nobody, since looking and
 * creating are two calls. Right: O_EXCL looks and creates at once. */
#include "lab.h"

#include <errno.h>

static bool leads(void)
{
	if (right)
		return sem_open("/leader", O_CREAT | O_EXCL, 0600, 0) != SEM_FAILED;
	if (sem_open("/leader", 0) != SEM_FAILED)
		return false;
	return sem_open("/leader", O_CREAT, 0600, 0) != SEM_FAILED;
}

int main(int argc, char **argv)
{
	start(argc, argv);
	sem_t *leaders = semaphore("/leaders", 1);
	if (leads())
		check(sem_trywait(leaders) == 0, "there are two leaders");
	return 0;
}
