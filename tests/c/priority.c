/* Jobs of different urgency through a queue, and the end by a message of priority 0.
 *
 * usage: priority alone|send|work NAME
 *
 * `alone` fills the queue and empties it; `send` and `work` are two programs, of which
 * the worker creates the queue and removes it. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define JOBS 6

static const struct {
	const char *text;
	unsigned priority;
} jobs[JOBS] = {
	{"water the plants", 1}, {"put out the fire", 30}, {"answer the mail", 5},
	{"call the plumber", 20}, {"feed the cat", 20}, {"sleep", 1},
};

static void die(const char *what) {
	perror(what);
	exit(1);
}

static mqd_t create(const char *name) {
	struct mq_attr attributes = {.mq_maxmsg = 8, .mq_msgsize = 64};
	mqd_t queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
	if (queue == (mqd_t)-1)
		die("mq_open");
	return queue;
}

static void send_all(mqd_t queue) {
	for (int i = 0; i < JOBS; i++)
		if (mq_send(queue, jobs[i].text, strlen(jobs[i].text), jobs[i].priority) != 0)
			die("mq_send");
	if (mq_send(queue, "", 0, 0) != 0)
		die("mq_send");
}

static void work(mqd_t queue, int in_order) {
	char job[64];
	unsigned priority;
	int count = 0, letters = 0;
	for (;;) {
		struct timespec end;
		clock_gettime(CLOCK_REALTIME, &end);
		end.tv_sec += 30;
		ssize_t length = mq_timedreceive(queue, job, sizeof job, &priority, &end);
		if (length < 0)
			die("mq_timedreceive");
		if (length == 0)
			break;
		count++;
		letters += (int)length;
		if (in_order)
			printf("%2u %.*s\n", priority, (int)length, job);
	}
	/* The last one may overtake others only if it was received before they were sent. */
	printf("%d jobs, %d letters\n", count, letters);
}

int main(int argc, char **argv) {
	if (argc != 3)
		return 2;
	const char *role = argv[1], *name = argv[2];
	mqd_t queue;
	if (strcmp(role, "send") == 0) {
		while ((queue = mq_open(name, O_WRONLY)) == (mqd_t)-1) {
			if (errno != ENOENT)
				die("mq_open");
			usleep(1000);
		}
		send_all(queue);
		mq_close(queue);
		puts("sent");
		return 0;
	}
	queue = create(name);
	struct mq_attr attributes;
	if (strcmp(role, "alone") == 0) {
		send_all(queue);
		mq_getattr(queue, &attributes);
		printf("%ld of %ld\n", attributes.mq_curmsgs, attributes.mq_maxmsg);
		work(queue, 1);
	} else {
		work(queue, 0);
	}
	mq_getattr(queue, &attributes);
	printf("%ld left\n", attributes.mq_curmsgs);
	mq_close(queue);
	mq_unlink(name);
	return 0;
}
