/* Loads an interpreter's library at run time, as servers do whose plugin it is, and runs it: late LIBRARY ARGUMENT... */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <wchar.h>

int main(int argc, char **argv)
{
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
