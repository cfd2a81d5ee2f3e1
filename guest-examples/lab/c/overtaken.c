/* The producer says "stop" with a priority above that of its jobs: the message overtakes
 * the jobs that are still in the queue, and they are never done.
 * Right: it has the priority of the jobs. */
#include "lab.h"

enum { JOBS = 3 };

int main(int argc, char **argv)
{
	start(argc, argv);
	if (number == 0) {
		mqd_t jobs = queue("/jobs", O_RDONLY, 8);
		char job[8];
		int done = 0;
		for (;;) {
			if (mq_receive(jobs, job, sizeof job, NULL) < 0)
				fail("mq_receive");
			if (job[0] == 's')
				break;
			done++;
		}
		check(done == JOBS, "stopped before all jobs were done");
	} else {
		mqd_t jobs = queue("/jobs", O_WRONLY, 8);
		for (int i = 0; i < JOBS; i++)
			mq_send(jobs, "job", 3, 1);
		mq_send(jobs, "stop", 4, right ? 1 : 2);
	}
	return 0;
}
