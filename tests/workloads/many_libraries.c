/* `many_libraries FOLDER N`: works in each of the libraries FOLDER/0.so to FOLDER/N-1.so in turn, for ever. Built with
 * -DLIBRARY it is such a library. */
#ifdef LIBRARY

void turn(void)
{
	for (volatile long left = 100000; left > 0; left--)
		;
}

#else

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	int libraries = atoi(argv[2]);
	void (**turns)(void) = calloc(libraries, sizeof *turns);
	for (int library = 0; library < libraries; library++) {
		char path[4096];
		snprintf(path, sizeof path, "%s/%d.so", argv[1], library);
		void *opened = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		if (!opened)
			return 1;
		turns[library] = (void (*)(void))dlsym(opened, "turn");
	}
	puts("ready");
	fflush(stdout);
	for (int library = 0;; library = (library + 1) % libraries)
		turns[library]();
}

#endif
