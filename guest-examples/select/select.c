/* Waits for two queues at once. The same source is the native program and the guest.
 *
 * usage: select listen PREFIX            makes the queues, and takes them away again
 *        select say PREFIX QUEUE TEXT    QUEUE is orders or control; `stop` on control ends it */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONTROL, ORDERS, QUEUES };

static const char *const suffix[QUEUES] = {"control", "orders"};

static void die(const char *what) {
	fprintf(stderr, "select: %s: %s\n", what, strerror(errno));
	exit(1);
}

static const char *name(const char *prefix, const char *queue) {
	static char text[256];
	snprintf(text, sizeof text, "%s.%s", prefix, queue);
	return text;
}

static int listen_to(const char *prefix) {
	struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = 64};
	struct pollfd queues[QUEUES];
	for (int i = 0; i < QUEUES; i++) {
		/* On Linux a queue is a file descriptor. */
		queues[i].fd = mq_open(name(prefix, suffix[i]),
				       O_RDONLY | O_NONBLOCK | O_CREAT | O_EXCL, 0600, &attributes);
		if (queues[i].fd < 0)
			die("mq_open");
		queues[i].events = POLLIN;
	}

	printf("listening\n");
	fflush(stdout);

	int stopped = 0;
	while (!stopped) {
		if (poll(queues, QUEUES, -1) < 0)
			die("poll");
		/* Control first: what was ordered before a stop is there by now, and done. */
		for (int i = 0; i < QUEUES; i++) {
			char text[64];
			ssize_t length;
			while ((length = mq_receive(queues[i].fd, text, sizeof text, NULL)) >= 0) {
				printf("%s: %.*s\n", suffix[i], (int)length, text);
				if (i == CONTROL && length == 4 && memcmp(text, "stop", 4) == 0)
					stopped = 1;
			}
			if (errno != EAGAIN)
				die("mq_receive");
		}
	}
	for (int i = 0; i < QUEUES; i++)
		mq_unlink(name(prefix, suffix[i]));
	return 0;
}

static int say(const char *prefix, const char *queue, const char *text) {
	mqd_t to = mq_open(name(prefix, queue), O_WRONLY);
	if (to == (mqd_t)-1)
		die("mq_open");
	if (mq_send(to, text, strlen(text), 0) != 0)
		die("mq_send");
	return 0;
}

int main(int argc, char **argv) {
	if (argc == 3 && strcmp(argv[1], "listen") == 0)
		return listen_to(argv[2]);
	if (argc == 5 && strcmp(argv[1], "say") == 0)
		return say(argv[2], argv[3], argv[4]);
	fprintf(stderr, "usage: select listen PREFIX\n       select say PREFIX QUEUE TEXT\n");
	return 2;
}
