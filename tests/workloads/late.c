/* Loads an interpreter's library at run time, as servers do whose plugin it is, and runs it: late LIBRARY ARGUMENT...
 * With -w before the library it is ready first and waits for a line: `fork` goes on in a child, any other here. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wchar.h>

static void wait_to_be_told(void)
{
    char line[16] = "";
    puts("ready");
    fflush(stdout);
    read(STDIN_FILENO, line, sizeof line - 1);
    if (!strcmp(line, "fork\n") && fork()) {
        wait(NULL);
        exit(0);
    }
}

int main(int argc, char **argv)
{
    if (!strcmp(argv[1], "-w")) {
        wait_to_be_told();
        argc--;
        argv[1] = argv[0];
        argv++;
    }
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    wchar_t *(*decode)(const char *, size_t *) = (wchar_t * (*)(const char *, size_t *)) dlsym(library, "Py_DecodeLocale");
    int (*run)(int, wchar_t **) = (int (*)(int, wchar_t **)) dlsym(library, "Py_Main");
    wchar_t **arguments = calloc(argc + 1, sizeof *arguments);
    argv[1] = argv[0];
    for (int i = 1; i < argc; i++)
        arguments[i - 1] = decode(argv[i], NULL);
    return run(argc - 1, arguments);
}
