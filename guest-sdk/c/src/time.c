/* Points of the clocks, and the sleeping that must not miss a notification. */
#include "internal.h"

#include <sched.h>
#include <unistd.h>

WRAPS(time, (void *)clock_nanosleep, (void *)sched_yield);

bool valid_time(const struct timespec *time) {
	return time->tv_nsec >= 0 && time->tv_nsec < (long)SECOND;
}

/* The longest span that the clock of the host can still be added to. */
static uint64_t nanoseconds(int64_t seconds, int64_t rest) {
	if (seconds < 0 || (seconds == 0 && rest <= 0))
		return 0;
	if ((uint64_t)seconds > (FOREVER - SECOND) / SECOND)
		return FOREVER - 1;
	return (uint64_t)seconds * SECOND + (uint64_t)rest;
}

uint64_t time_until(clockid_t clock, const struct timespec *end) {
	struct timespec current;
	clock_gettime(clock, &current);
	int64_t seconds, rest = (int64_t)end->tv_nsec - current.tv_nsec;
	if (__builtin_sub_overflow((int64_t)end->tv_sec, (int64_t)current.tv_sec, &seconds))
		return end->tv_sec < 0 ? 0 : FOREVER - 1;
	if (rest < 0) {
		seconds--;
		rest += SECOND;
	}
	return nanoseconds(seconds, rest);
}

uint64_t now(void) {
	struct timespec current;
	clock_gettime(CLOCK_MONOTONIC, &current);
	return (uint64_t)current.tv_sec * SECOND + (uint64_t)current.tv_nsec;
}

/* ---- sleeping ----------------------------------------------------------------------- */

int __real_clock_nanosleep(clockid_t, int, const struct timespec *, struct timespec *);
int __real_sched_yield(void);

int __wrap_clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *left) {
	push();
	if (notification_count() == 0) {
		int result = __real_clock_nanosleep(clock, flags, time, left);
		pull();
		return result;
	}
	if (!valid_time(time) || time->tv_sec < 0)
		return EINVAL;
	bool absolute = flags & TIMER_ABSTIME;
	uint64_t span = absolute ? time_until(clock, time) : nanoseconds(time->tv_sec, time->tv_nsec);
	uint64_t start = now(), passed = 0;
	int result = 0;
	interrupted(BY_ANY_HANDLER);
	for (;;) {
		deliver();
		if (interrupted(BY_ANY_HANDLER)) {
			result = EINTR;
			break;
		}
		passed = now() - start;
		if (passed >= span)
			break;
		wait_for_notification(span - passed);
	}
	if (result == EINTR && left && !absolute) {
		uint64_t rest = span > passed ? span - passed : 0;
		left->tv_sec = (time_t)(rest / SECOND);
		left->tv_nsec = (long)(rest % SECOND);
	}
	pull();
	return result;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *left) {
	int number = __wrap_clock_nanosleep(CLOCK_REALTIME, 0, time, left);
	return number ? fail_with(number) : 0;
}

int __wrap_sched_yield(void) {
	push();
	int result = __real_sched_yield();
	pull();
	deliver();
	return result;
}
