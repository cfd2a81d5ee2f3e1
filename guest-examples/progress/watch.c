/* Shows how far a guest has got. It makes the shared memory, and takes it away again.
 *
 * usage: watch NAME */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct progress {
	atomic_uint total, done;
};

static void die(const char *what) {
	fprintf(stderr, "watch: %s: %s\n", what, strerror(errno));
	exit(1);
}

int main(int argc, char **argv) {
	if (argc != 2) {
		fprintf(stderr, "usage: watch NAME\n");
		return 2;
	}
	int fd = shm_open(argv[1], O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		die("shm_open");
	if (ftruncate(fd, sizeof(struct progress)) != 0)
		die("ftruncate");
	struct progress *progress =
		mmap(NULL, sizeof *progress, PROT_READ, MAP_SHARED, fd, 0);
	if (progress == MAP_FAILED)
		die("mmap");
	printf("waiting\n");
	fflush(stdout);

	unsigned total, done, shown = 0;
	do {
		nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
		total = atomic_load(&progress->total);
		done = atomic_load(&progress->done);
		if (done != shown) {
			printf("%u of %u\n", done, total);
			fflush(stdout);
		}
		shown = done;
	} while (total == 0 || done < total);

	if (shm_unlink(argv[1]) != 0)
		die("shm_unlink");
	return 0;
}
