/* Hosts interpreters, each loaded for itself: two_hosted HOW (LIBRARY HOME SPINNERS)... HOW is `local` or, with a C library for
 * each, `namespace`. Of each there is a thread that sleeps, and so many that spin; they are called as its library. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

static const char source[] = "import time\n"
                             "def leaf(rounds):\n"
                             "    total = 0\n"
                             "    for number in range(rounds): total += number\n"
                             "def spins():\n"
                             "    while True: leaf(20000)\n"
                             "def sleeps():\n"
                             "    while True: time.sleep(0.002)\n";

struct hosted {
    const char *path;
    int is_apart;
    void *library;
    char name[16];
    wchar_t home[512];
    int spinners;
};

static pthread_barrier_t ready;

static void *function(const struct hosted *hosted, const char *name)
{
    void *found = dlsym(hosted->library, name);
    if (!found)
        exit(1);
    return found;
}

static int run(const struct hosted *hosted, const char *text)
{
    int (*run_string)(const char *) = (int (*)(const char *)) function(hosted, "PyRun_SimpleString");
    return run_string(text);
}

/* A C library knows the threads of another one only when they are made known to it. */
static void know_thread(const struct hosted *hosted)
{
    void (*initialize)(void) = (void (*)(void)) function(hosted, "__ctype_init");
    initialize();
}

static void *spin(void *argument)
{
    const struct hosted *hosted = argument;
    int (*ensure)(void) = (int (*)(void)) function(hosted, "PyGILState_Ensure");
    if (hosted->is_apart)
        know_thread(hosted);
    ensure();
    run(hosted, "spins()");
    return NULL;
}

static void *host(void *argument)
{
    struct hosted *hosted = argument;
    pthread_t thread;
    hosted->library = hosted->is_apart ? dlmopen(LM_ID_NEWLM, hosted->path, RTLD_NOW)
                                       : dlopen(hosted->path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (!hosted->library) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    void (*set_home)(const wchar_t *) = (void (*)(const wchar_t *)) function(hosted, "Py_SetPythonHome");
    void (*initialize)(int) = (void (*)(int)) function(hosted, "Py_InitializeEx");
    set_home(hosted->home);
    initialize(0);
    if (run(hosted, source))
        exit(1);
    pthread_setname_np(pthread_self(), hosted->name);
    for (int i = 0; i < hosted->spinners; i++)
        pthread_create(&thread, NULL, spin, hosted);
    pthread_barrier_wait(&ready);
    run(hosted, "sleeps()");
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    pthread_barrier_init(&ready, NULL, 1 + (argc - 2) / 3);
    for (char **one = argv + 2; one < argv + argc; one += 3) {
        struct hosted *hosted = calloc(1, sizeof *hosted);
        hosted->is_apart = !strcmp(argv[1], "namespace");
        hosted->path = one[0];
        snprintf(hosted->name, sizeof hosted->name, "%.15s", strrchr(one[0], '/') + 1);
        mbstowcs(hosted->home, one[1], sizeof hosted->home / sizeof *hosted->home - 1);
        hosted->spinners = atoi(one[2]);
        pthread_create(&thread, NULL, host, hosted);
    }
    pthread_barrier_wait(&ready);
    puts("ready");
    fflush(stdout);
    pause();
    return 0;
}
