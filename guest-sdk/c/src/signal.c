/* Signals within one thread that only the guest itself sends. */
#include "internal.h"

#include <stdlib.h>
#include <unistd.h>

struct pending {
	bool set;
	int code;
	union sigval value;
};

static struct sigaction actions[SIGRTMAX + 1];
static struct pending pendings[SIGRTMAX + 1];
static unsigned long long blocked;
static bool was_handled, was_interrupted;

/* What SIG_ERR and SIG_IGN are the addresses of. */
void __SIG_ERR(int number) {
	(void)number;
	abort();
}

void __SIG_IGN(int number) {
	(void)number;
}

static unsigned long long bit(int number) {
	return 1ull << (number - 1);
}

static bool valid(int number) {
	return number >= 1 && number <= SIGRTMAX;
}

static bool ignored_by_default(int number) {
	return number == SIGCHLD || number == SIGCONT || number == SIGURG || number == SIGWINCH;
}

static void run_handler(int number) {
	struct sigaction action = actions[number];
	struct pending cause = pendings[number];
	pendings[number].set = false;
	if (action.sa_handler == SIG_IGN)
		return;
	if (action.sa_handler == SIG_DFL) {
		/* The exit code is what a shell shows of a program that died so. */
		if (!ignored_by_default(number))
			_Exit(128 + number);
		return;
	}
	if (action.sa_flags & SA_RESETHAND)
		actions[number].sa_handler = SIG_DFL;
	unsigned long long before = blocked;
	blocked |= action.sa_mask.__signals;
	if (!(action.sa_flags & SA_NODEFER))
		blocked |= bit(number);
	if (action.sa_flags & SA_SIGINFO) {
		siginfo_t info = {.si_signo = number, .si_code = cause.code, .si_value = cause.value};
		action.sa_sigaction(number, &info, NULL);
	} else {
		action.sa_handler(number);
	}
	blocked = before;
	was_handled = true;
	if (!(action.sa_flags & SA_RESTART))
		was_interrupted = true;
}

static int next_pending(unsigned long long wanted) {
	for (int number = 1; number <= SIGRTMAX; number++)
		if (pendings[number].set && (wanted & bit(number)))
			return number;
	return 0;
}

void deliver_pending(void) {
	int number;
	while ((number = next_pending(~blocked)))
		run_handler(number);
}

bool interrupted(enum interruption by) {
	bool was = by == BY_ANY_HANDLER ? was_handled : was_interrupted;
	was_handled = was_interrupted = false;
	return was;
}

void send_signal(int number, int code, union sigval value) {
	pendings[number] = (struct pending){true, code, value};
	deliver_pending();
}

/* ---- the functions of POSIX --------------------------------------------------------- */

int raise(int number) {
	if (number == 0)
		return 0;
	if (!valid(number))
		return fail_with(EINVAL);
	send_signal(number, SI_USER, (union sigval){0});
	return 0;
}

int kill(pid_t process, int number) {
	/* There is nobody but the guest: itself, or its group. The number that getpid
	 * invents is the guest's too, and this does not know it. */
	if (process < 0)
		return fail_with(ESRCH);
	return raise(number);
}

int sigaction(int number, const struct sigaction *restrict new, struct sigaction *restrict old) {
	if (!valid(number) || (new && (number == SIGKILL || number == SIGSTOP)))
		return fail_with(EINVAL);
	if (old)
		*old = actions[number];
	if (new) {
		actions[number] = *new;
		if (new->sa_handler == SIG_IGN)
			pendings[number].set = false;
	}
	return 0;
}

void (*signal(int number, void (*handler)(int)))(int) {
	struct sigaction new = {.sa_flags = SA_RESTART}, old;
	new.sa_handler = handler;
	if (sigaction(number, &new, &old) != 0)
		return SIG_ERR;
	return old.sa_handler;
}

int pthread_sigmask(int how, const sigset_t *restrict set, sigset_t *restrict old) {
	unsigned long long before = blocked;
	if (set)
		switch (how) {
		case SIG_BLOCK: blocked |= set->__signals; break;
		case SIG_UNBLOCK: blocked &= ~set->__signals; break;
		case SIG_SETMASK: blocked = set->__signals; break;
		default: return EINVAL;
		}
	blocked &= ~(bit(SIGKILL) | bit(SIGSTOP));
	if (old)
		old->__signals = before;
	deliver_pending();
	return 0;
}

int sigprocmask(int how, const sigset_t *restrict set, sigset_t *restrict old) {
	int number = pthread_sigmask(how, set, old);
	return number ? fail_with(number) : 0;
}

int sigpending(sigset_t *set) {
	deliver();
	set->__signals = 0;
	for (int number = 1; number <= SIGRTMAX; number++)
		if (pendings[number].set)
			set->__signals |= bit(number);
	return 0;
}

/* Waits until a handler has run. A guest that nothing can interrupt is told. */
int pause(void) {
	push();
	interrupted(BY_ANY_HANDLER);
	for (;;) {
		deliver();
		deliver_pending();
		if (interrupted(BY_ANY_HANDLER))
			break;
		if (!wait_for_notification(FOREVER))
			return fail_with(EDEADLK);
	}
	pull();
	return fail_with(EINTR);
}

int sigsuspend(const sigset_t *set) {
	unsigned long long before = blocked;
	blocked = set->__signals;
	int result = pause();
	blocked = before;
	return result;
}

static int wait_for_signal(const sigset_t *set, siginfo_t *info, uint64_t limit) {
	uint64_t start = now();
	/* It is taken, not handled: it must be blocked, as POSIX wants, or is now. */
	unsigned long long before = blocked;
	blocked |= set->__signals;
	push();
	int number;
	interrupted(BY_ANY_HANDLER);
	for (;;) {
		deliver();
		number = next_pending(set->__signals);
		if (number)
			break;
		if (interrupted(BY_ANY_HANDLER)) {
			number = fail_with(EINTR);
			break;
		}
		uint64_t passed = now() - start;
		if (limit != FOREVER && passed >= limit) {
			number = fail_with(EAGAIN);
			break;
		}
		if (!wait_for_notification(limit == FOREVER ? FOREVER : limit - passed) && limit == FOREVER) {
			number = fail_with(EDEADLK);
			break;
		}
	}
	if (number > 0) {
		pendings[number].set = false;
		if (info)
			*info = (siginfo_t){
				.si_signo = number,
				.si_code = pendings[number].code,
				.si_value = pendings[number].value,
			};
	}
	blocked = before;
	pull();
	return number;
}

int sigwaitinfo(const sigset_t *restrict set, siginfo_t *restrict info) {
	return wait_for_signal(set, info, FOREVER);
}

int sigtimedwait(const sigset_t *restrict set, siginfo_t *restrict info, const struct timespec *restrict timeout) {
	if (timeout && (!valid_time(timeout) || timeout->tv_sec < 0))
		return fail_with(EINVAL);
	uint64_t limit = timeout ? (uint64_t)timeout->tv_sec * SECOND + (uint64_t)timeout->tv_nsec : FOREVER;
	return wait_for_signal(set, info, limit);
}

int sigwait(const sigset_t *restrict set, int *restrict number) {
	int taken;
	do
		taken = wait_for_signal(set, NULL, FOREVER);
	while (taken < 0 && errno == EINTR);
	if (taken < 0)
		return errno;
	*number = taken;
	return 0;
}

int sigemptyset(sigset_t *set) {
	set->__signals = 0;
	return 0;
}

int sigfillset(sigset_t *set) {
	set->__signals = ~0ull;
	return 0;
}

int sigaddset(sigset_t *set, int number) {
	if (!valid(number))
		return fail_with(EINVAL);
	set->__signals |= bit(number);
	return 0;
}

int sigdelset(sigset_t *set, int number) {
	if (!valid(number))
		return fail_with(EINVAL);
	set->__signals &= ~bit(number);
	return 0;
}

int sigismember(const sigset_t *set, int number) {
	if (!valid(number))
		return fail_with(EINVAL);
	return (set->__signals & bit(number)) != 0;
}
