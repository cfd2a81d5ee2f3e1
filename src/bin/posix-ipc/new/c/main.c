#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	struct mq_attr limits = { .mq_maxmsg = 4, .mq_msgsize = 64 };
	mqd_t jobs = mq_open("/{{name}}.jobs", O_RDWR | O_CREAT, 0600, &limits);
	if (jobs == (mqd_t)-1) {
		perror("/{{name}}.jobs");
		return 1;
	}

	const char *hello = "hello from {{name}}";
	if (mq_send(jobs, hello, strlen(hello), 3) < 0) {
		perror("mq_send");
		return 1;
	}
	char job[64];
	unsigned priority;
	ssize_t length = mq_receive(jobs, job, sizeof job, &priority);
	if (length < 0) {
		perror("mq_receive");
		return 1;
	}
	printf("%.*s (priority %u)\n", (int)length, job, priority);
	return 0;
}
