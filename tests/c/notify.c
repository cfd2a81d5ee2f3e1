/* mq_notify, with the three ways of being told, and what a program does until then.
 *
 * usage: notify wait|tell NAME
 *
 * `wait` creates the queue and two more, and asks on NAME.asked for a message, in the
 * queue or on NAME.answers. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what) {
	perror(what);
	exit(1);
}

static mqd_t queue, asked, answers;
static volatile sig_atomic_t signals;
static int signal_value;
static sem_t told;

static void on_signal(int number, siginfo_t *info, void *context) {
	(void)number, (void)context;
	signals++;
	signal_value = info->si_code == SI_MESGQ ? info->si_value.sival_int : -1;
}

static void in_thread(union sigval value) {
	*(int *)value.sival_ptr += 1;
	sem_post(&told);
}

static mqd_t open_queue(const char *name, const char *suffix) {
	struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = 64};
	char text[256];
	snprintf(text, sizeof text, "%s%s", name, suffix);
	mqd_t opened = mq_open(text, O_RDWR | O_CREAT, 0600, &attributes);
	if (opened == (mqd_t)-1)
		die("mq_open");
	return opened;
}

static void unlink_queue(const char *name, const char *suffix) {
	char text[256];
	snprintf(text, sizeof text, "%s%s", name, suffix);
	mq_unlink(text);
}

/* Asks for a message, in so many milliseconds; for one among the answers with a minus. */
static void ask(const char *delay) {
	if (mq_send(asked, delay, strlen(delay) + 1, 0) != 0)
		die("mq_send");
}

static void take(const char *what) {
	char text[64];
	ssize_t length = mq_receive(queue, text, sizeof text, NULL);
	printf("%s: %s, %d signals\n", what, length > 0 ? text : "nothing", (int)signals);
}

static void wait_all(const char *name) {
	queue = open_queue(name, "");
	answers = open_queue(name, ".answers");
	asked = open_queue(name, ".asked");

	struct sigaction action = {.sa_flags = SA_SIGINFO};
	action.sa_sigaction = on_signal;
	sigaction(SIGUSR1, &action, NULL);
	struct sigevent by_signal = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	by_signal.sigev_value.sival_int = 4711;

	/* Of its own message a program is told before the call is over. */
	mq_notify(queue, &by_signal);
	mq_send(queue, "own", 4, 0);
	take("own message");
	printf("value %d\n", signal_value);

	/* Once only. */
	mq_send(queue, "again", 6, 0);
	take("not registered");

	sigset_t usr1, before;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, &before);
	mq_notify(queue, &by_signal);
	ask("30");
	int result = sigsuspend(&before);
	printf("sigsuspend %d %d\n", result, errno == EINTR);
	take("sigsuspend");

	mq_notify(queue, &by_signal);
	ask("30");
	siginfo_t info;
	result = sigwaitinfo(&usr1, &info);
	printf("sigwaitinfo %d, value %d\n", result == SIGUSR1, info.si_value.sival_int);
	take("sigwaitinfo");
	sigprocmask(SIG_SETMASK, &before, NULL);

	mq_notify(queue, &by_signal);
	ask("30");
	struct timespec time = {30, 0}, left = {0, 0};
	result = nanosleep(&time, &left);
	printf("nanosleep %d %d, left %d\n", result, errno == EINTR, left.tv_sec >= 20 && left.tv_sec < 30);
	take("nanosleep");

	/* A wait for something else is interrupted. */
	mq_notify(queue, &by_signal);
	ask("30");
	char text[64];
	sem_t never;
	sem_init(&never, 0, 0);
	struct timespec end;
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 30;
	result = sem_timedwait(&never, &end);
	printf("sem_timedwait %d %d\n", result, errno == EINTR);
	take("sem_timedwait");

	/* Unless its handler asks for it to go on. */
	action.sa_flags |= SA_RESTART;
	sigaction(SIGUSR1, &action, NULL);
	mq_notify(queue, &by_signal);
	ask("30");
	ask("-60");
	ssize_t length;
	do
		length = mq_receive(answers, text, sizeof text, NULL);
	while (length < 0);
	printf("restarted: %s\n", text);
	take("restarted");

	int calls = 0;
	struct sigevent by_thread = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = in_thread};
	by_thread.sigev_value.sival_ptr = &calls;
	sem_init(&told, 0, 0);
	mq_notify(queue, &by_thread);
	ask("30");
	while (sem_wait(&told) != 0)
		;
	printf("%d calls\n", calls);
	take("thread");

	struct sigevent by_nothing = {.sigev_notify = SIGEV_NONE};
	mq_notify(queue, &by_nothing);
	result = mq_notify(queue, &by_signal);
	printf("taken %d %d\n", result, errno == EBUSY);
	mq_send(queue, "unheard", 8, 0);
	take("none");

	mq_notify(queue, &by_signal);
	mq_notify(queue, NULL);
	mq_send(queue, "silent", 7, 0);
	take("cancelled");

	ask("end");
	unlink_queue(name, "");
	unlink_queue(name, ".answers");
	unlink_queue(name, ".asked");
}

static void tell_all(const char *name) {
	char text[64];
	queue = open_queue(name, "");
	answers = open_queue(name, ".answers");
	asked = open_queue(name, ".asked");
	for (;;) {
		if (mq_receive(asked, text, sizeof text, NULL) < 0)
			die("mq_receive");
		if (strcmp(text, "end") == 0)
			break;
		int delay = atoi(text);
		usleep((useconds_t)abs(delay) * 1000);
		mq_send(delay < 0 ? answers : queue, "message", 8, 0);
	}
	puts("told");
}

int main(int argc, char **argv) {
	if (argc != 3)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (strcmp(argv[1], "wait") == 0)
		wait_all(argv[2]);
	else
		tell_all(argv[2]);
	return 0;
}
