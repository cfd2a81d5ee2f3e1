/* A worker takes a job and dies of it; the job is gone, and who waits for the answer waits
 * for ever. Right: the job stays known until its answer is there, and is given to another
 * worker when none has come in time. */
#include "lab.h"

#include <time.h>

enum { CLIENT, DYING };

static struct timespec soon(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	now.tv_sec += 1;
	return now;
}

int main(int argc, char **argv)
{
	start(argc, argv);
	char text[8];
	if (number == CLIENT) {
		mqd_t jobs = queue("/jobs", O_WRONLY, 4), answers = queue("/answers", O_RDONLY, 4);
		mq_send(jobs, "job", 3, 0);
		if (!right) {
			if (mq_receive(answers, text, sizeof text, NULL) < 0)
				fail("mq_receive");
		} else {
			struct timespec end = soon();
			while (mq_timedreceive(answers, text, sizeof text, NULL, &end) < 0) {
				mq_send(jobs, "job", 3, 0);
				end = soon();
			}
		}
		mq_send(jobs, "stop", 4, 0);
		mq_send(jobs, "stop", 4, 0);
		return 0;
	}
	mqd_t jobs = queue("/jobs", O_RDONLY, 4), answers = queue("/answers", O_WRONLY, 4);
	for (;;) {
		if (mq_receive(jobs, text, sizeof text, NULL) < 0)
			fail("mq_receive");
		if (text[0] == 's' || number == DYING)
			return 0;
		mq_send(answers, "done", 4, 0);
	}
}
