/* The producer must not block, and does not look whether the queue had room: a message that
 * does not fit is lost, and the consumer waits for it for ever. Right: it sends again what
 * did not fit. */
#include "lab.h"

enum { MESSAGES = 4, ROOM = 2 };

int main(int argc, char **argv)
{
	start(argc, argv);
	if (number == 0) {
		mqd_t jobs = queue("/jobs", O_RDONLY, ROOM);
		char job[8];
		for (int i = 0; i < MESSAGES; i++)
			if (mq_receive(jobs, job, sizeof job, NULL) < 0)
				fail("mq_receive");
	} else {
		mqd_t jobs = queue("/jobs", O_WRONLY | (right ? 0 : O_NONBLOCK), ROOM);
		for (int i = 0; i < MESSAGES; i++)
			mq_send(jobs, "job", 3, 0);
	}
	return 0;
}
