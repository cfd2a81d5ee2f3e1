/* Mappings of shared memory as one program sees them, at the points where the sandbox
 * makes a copy and its object meet.
 *
 * usage: mapping NAME */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static void die(const char *what) {
	perror(what);
	exit(1);
}

static char *map(int fd, size_t length, int protection, int flags, off_t offset) {
	char *memory = mmap(NULL, length, protection, flags, fd, offset);
	if (memory == MAP_FAILED)
		die("mmap");
	return memory;
}

static void show(const char *what, int fd, off_t offset) {
	char text[17] = "";
	ssize_t length = pread(fd, text, 16, offset);
	for (int i = 0; i < 16; i++)
		if (!text[i])
			text[i] = i < length ? '.' : '-';
	printf("%-28s %s\n", what, text);
}

int main(int argc, char **argv) {
	if (argc != 2)
		return 2;
	long page = sysconf(_SC_PAGESIZE);
	printf("page %ld, %d\n", page, getpagesize() == (int)page);
	umask(0);
	int fd = shm_open(argv[1], O_RDWR | O_CREAT | O_EXCL, 0640);
	if (fd < 0 || ftruncate(fd, 4 * page) != 0)
		die(argv[1]);
	int both = PROT_READ | PROT_WRITE;

	char *memory = map(fd, (size_t)page * 4, both, MAP_SHARED, 0);
	strcpy(memory, "written");
	show("written by memory", fd, 0);
	pwrite(fd, "WRIT", 4, 0);
	printf("%-28s %s\n", "written by descriptor", memory);

	/* A descriptor is not needed any more once it is mapped. */
	int reader = shm_open(argv[1], O_RDONLY, 0);
	char *view = map(reader, (size_t)page, PROT_READ, MAP_SHARED, page);
	close(reader);
	strcpy(memory + page, "second page");
	msync(memory, (size_t)page * 4, MS_SYNC);
	printf("%-28s %s\n", "in another mapping", view);

	/* A private one is a copy, from when it was made for what is written to it. */
	char *private = map(fd, (size_t)page, both, MAP_PRIVATE, 0);
	memcpy(private, "private", 7);
	show("private stays private", fd, 0);
	printf("%-28s %s\n", "private", private);
	munmap(private, (size_t)page);

	/* Words that change in part, at both ends of a word and at its middle. */
	char *words = memory + 2 * page;
	memcpy(words, "abcdefghijklmnop", 16);
	show("whole words", fd, 2 * page);
	words[0] = 'A', words[7] = 'H', words[11] = 'L', words[12] = 'M';
	show("parts of words", fd, 2 * page);
	pwrite(fd, "#", 1, 2 * page + 3);
	words[2] = 'C';
	show("one by each", fd, 2 * page);
	printf("%-28s %.16s\n", "in memory", words);

	/* Pages can go one by one. */
	strcpy(memory + 3 * page, "last page");
	if (munmap(memory + 2 * page, (size_t)page) != 0)
		die("munmap");
	memory[page] = 'S';
	memory[3 * page] = 'L';
	show("before the hole", fd, page);
	show("behind the hole", fd, 3 * page);

	/* The object's end moves. */
	ftruncate(fd, 3 * page + 5);
	show("shorter", fd, 3 * page);
	memory[3 * page + 1] = 'A';
	show("written at the end", fd, 3 * page);
	ftruncate(fd, 4 * page);
	show("longer", fd, 3 * page);
	struct stat status;
	fstat(fd, &status);
	printf("%-28s %ld, mode %o\n", "size in pages", (long)status.st_size / page, (unsigned)status.st_mode & 0777);

	/* As a file. */
	struct iovec parts[] = {{"one ", 4}, {"two ", 4}, {"three", 5}};
	lseek(fd, 0, SEEK_SET);
	printf("%-28s %ld\n", "writev", (long)writev(fd, parts, 3));
	printf("%-28s %ld\n", "position", (long)lseek(fd, 0, SEEK_CUR));
	printf("%-28s %.13s\n", "in memory", memory);

	/* Memory of nobody's. */
	int *anonymous = mmap(NULL, 100000, both, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (anonymous == MAP_FAILED)
		die("mmap");
	printf("%-28s %d %d\n", "anonymous", anonymous[0], anonymous[20000]);
	munmap(anonymous, 100000);

	/* What is changed last is there for the next program. */
	strcpy(memory, "left behind");
	return 0;
}
