/* Readers that find something to change become writers, and keep their place among the
 * readers meanwhile: two that do so wait for each other to stop reading.
 * Right: whoever wants to write stops reading first. */
#include "lab.h"

enum { PLACES = 2 };

int main(int argc, char **argv)
{
	start(argc, argv);
	/* A reader has one place, a writer all of them. */
	sem_t *places = semaphore("/places", PLACES);
	sem_t *writer = semaphore("/writer", 1);
	sem_wait(places);
	if (right) {
		sem_post(places);
		sem_wait(writer);
		for (int i = 0; i < PLACES; i++)
			sem_wait(places);
		for (int i = 0; i < PLACES; i++)
			sem_post(places);
		sem_post(writer);
	} else {
		for (int i = 1; i < PLACES; i++)
			sem_wait(places);
		for (int i = 0; i < PLACES; i++)
			sem_post(places);
	}
	return 0;
}
