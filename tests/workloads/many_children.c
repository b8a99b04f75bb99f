/* `many_children N`: so many children that sleep, until they and it are killed. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	for (int left = atoi(argv[1]); left > 0; left--) {
		pid_t child = fork();
		if (child < 0)
			return 1;
		while (child == 0)
			pause();
	}
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
