/* A process that has no end to what it shows: boundless KIND. All that is read of a CPython 3.14 (with -DMINOR=15 of a 3.15,
 * as a library whose run() is called) is made up here. Kinds: `tasks`, `awaits`, `threads`, `slots`; `code` is no Python. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MINOR
#define MINOR 14
#endif

typedef uint64_t word;

/* Where the made-up objects have their fields, in words. */
enum { TYPE = 1, LEN = 2, KIND = 4, TEXT = 5, BYTES = 4 };
enum { NEXT = 1, INTERPRETER = 2, FRAME = 4, THREAD = 5, TASKS = 12, STATE_WORDS = 16 };
enum { CODE = 0, PREVIOUS = 1, INSTRUCTION = 7, STACK_POINTER = 9, FRAME_WORDS = 16 };
enum { FILE_NAME = 14, NAME = 15, QUALIFIED = 16, LINES = 17, CODE_WORDS = 32 };
enum { TASK_NAME = 4, TASK_CORO = 7, TASK_NODE = 8, CORO_STATE = 8, CORO_FRAME = 9 };
enum { THREADS_HEAD = 2, KEY = MINOR == 14 ? 2336 : 0 };

uint32_t Py_Version[3] = {3u << 24 | MINOR << 16 | 0xf0};
word _PyRuntime[1024] = {1}, PyCode_Type[64] = {1}, PyUnicode_Type[64] = {1};
word PyCoro_Type[64] = {1}, PyGen_Type[64] = {1}, PyLong_Type[64] = {1};
void PyGILState_GetThisThreadState(void) {}

/* What `_asyncio` tells: name, awaited_by, awaited_by_is_set, coro, node; the running task and the list of a thread. */
__attribute__((section(".AsyncioDebug"), used)) word asyncio[16] = {
    0, 8 * TASK_NAME, 40, 0, 48, 8 * TASK_CORO, 8 * TASK_NODE, 0, 0, 0, 0, 88, 8 * TASKS};

static word interpreter[16], states[4096][STATE_WORDS], code[CODE_WORDS], frames[2][FRAME_WORDS];

static void tell(int at, word value) { _PyRuntime[at / 8] = value; }

static void tell_all(int at, int count, const word *values)
{
    memcpy(&_PyRuntime[at / 8], values, count * sizeof *values);
}

static void make_runtime(void)
{
    memset(_PyRuntime, 0, sizeof _PyRuntime);
    memcpy(_PyRuntime, "xdebugpy", 8);
    tell(8, Py_Version[0]);
    tell(40, 8 * 512);
    tell(64, 8);
    tell(72, 8 * THREADS_HEAD);
    tell(160, 24);
    tell_all(192, 3, (word[]){8 * NEXT, 8 * INTERPRETER, 8 * FRAME});
    int later = MINOR == 14 ? 0 : 24;
    tell(216 + later, 8 * THREAD);
    tell_all(232 + later, 2, (word[]){48, 64});
    int frame = MINOR == 14 ? 256 : 320;
    tell_all(frame, 6, (word[]){8 * PREVIOUS, 8 * CODE, 8 * INSTRUCTION, 80, 70, 8 * STACK_POINTER});
    tell_all(frame + 64, 5, (word[]){8 * FILE_NAME, 8 * NAME, 8 * QUALIFIED, 8 * LINES, 68});
    tell(frame + 128, 200);
    int set = MINOR == 14 ? 512 : 608;
    tell_all(set, 2, (word[]){24, 32});
    tell_all(MINOR == 14 ? 624 : 720, 3, (word[]){8 * KIND, 8 * LEN, 8 * TEXT});
    tell_all(MINOR == 14 ? 680 : 808, 2, (word[]){8 * CORO_FRAME, 8 * CORO_STATE});
    tell(8 * 512, (word)interpreter);
    interpreter[THREADS_HEAD] = (word)states[0];
}

static void make_state(int index, word thread)
{
    states[index][INTERPRETER] = (word)interpreter;
    states[index][THREAD] = thread;
    states[index][TASKS] = (word)&states[index][TASKS];
}

static word text(const char *characters)
{
    word *object = calloc(1, 8 * TEXT + strlen(characters) + 1);
    object[TYPE] = (word)PyUnicode_Type;
    object[LEN] = strlen(characters);
    object[KIND] = 1 << 2 | 1 << 5 | 1 << 6;
    strcpy((char *)(object + TEXT), characters);
    return (word)object;
}

static void make_code(size_t table)
{
    word *lines = calloc(1, 8 * BYTES + table);
    lines[LEN] = table;
    memset(lines + BYTES, 0x80, table);
    code[TYPE] = (word)PyCode_Type;
    code[FILE_NAME] = text("/nowhere.py");
    code[NAME] = code[QUALIFIED] = text("without_end");
    code[LINES] = (word)lines;
}

static void make_frame(word *frame, word *caller)
{
    frame[CODE] = (word)code;
    frame[PREVIOUS] = (word)caller;
    frame[INSTRUCTION] = (word)code + 200;
}

/* A list that comes back to another than its head. */
static void make_tasks(void)
{
    static word one[4], other[4];
    one[0] = (word)other;
    other[0] = (word)one;
    states[0][TASKS] = (word)one;
}

/* A task that comes after itself, whose coroutine awaits itself, with a line table of a megabyte. */
static void make_awaits(void)
{
    static word coroutine[32], stack[2], task[16];
    make_code((1 << 20) - 8);
    coroutine[TYPE] = (word)PyCoro_Type;
    coroutine[CORO_STATE] = 255;
    make_frame(coroutine + CORO_FRAME, NULL);
    coroutine[CORO_FRAME + STACK_POINTER] = (word)(stack + 1);
    stack[0] = (word)coroutine;
    task[TASK_NAME] = text("endless");
    task[TASK_CORO] = (word)coroutine;
    task[TASK_NODE] = (word)&task[TASK_NODE];
    states[0][TASKS] = (word)&task[TASK_NODE];
}

static pthread_key_t key;

static void *sleep_on(void *state)
{
    pthread_setspecific(key, state);
    for (;;)
        pause();
}

/* Threads whose frames call one another. */
static void make_threads(int count)
{
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 32 << 10);
    make_code(16);
    make_frame(frames[0], frames[1]);
    make_frame(frames[1], frames[0]);
    for (int i = count; i > 0; i--) {
        pthread_t thread;
        pthread_create(&thread, &small, sleep_on, states[i]);
        make_state(i, (word)thread);
        states[i][FRAME] = (word)frames[0];
        states[i][NEXT] = interpreter[THREADS_HEAD];
        interpreter[THREADS_HEAD] = (word)states[i];
    }
}

#if MINOR == 15
__thread char block_of_module[65536 - 256] = {1};

/* Threads that share one block for the variables of all modules, in which each word could be the first one's own. */
static void make_slots(int count)
{
    static word block[8192], vector[2 * 520], pointers[4096 + 4];
    block_of_module[1] = 1;
    for (int i = 0; i < 8192; i++)
        block[i] = (word)states[0];
    for (int i = 0; i < 2 * 520; i++)
        vector[i] = (word)block;
    for (int i = 0; i < 4096 + 4; i++)
        pointers[i] = (word)vector;
    for (int i = 0; i < count; i++) {
        make_state(i, (word)&pointers[i]);
        states[i][NEXT] = i + 1 < count ? (word)states[i + 1] : 0;
    }
}
#endif

/* Runs code of no file, at ever other addresses, beside thousands of mappings of a file and under a perf map of millions. */
static void run_code(void)
{
    enum { MAPPINGS = 20000, ROOM = 1 << 20, EACH = 64 };
    char name[64];
    int file = open("/proc/self/exe", O_RDONLY);
    char *at = mmap(NULL, (size_t)MAPPINGS * 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (int i = 0; i < MAPPINGS; i++)
        mmap(at + i * 8192L, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, file, 0);
    snprintf(name, sizeof name, "/tmp/perf-%d.map", getpid());
    FILE *map = fopen(name, "w");
    for (int i = 0; ftell(map) < 16 << 20; i++)
        fprintf(map, "%x 1 a\n", i);
    fclose(map);
    /* mov %edi,%ecx; dec %ecx; jnz -4; ret */
    const unsigned char spin[] = {0x89, 0xf9, 0xff, 0xc9, 0x75, 0xfc, 0xc3};
    char *made = mmap(NULL, ROOM, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < ROOM; i += EACH)
        memcpy(made + i, spin, sizeof spin);
    nice(19);
    puts("ready");
    fflush(stdout);
    for (unsigned round = 0;; round++)
        ((void (*)(int))(made + round * EACH % ROOM))(1000000);
}

int run(int argc, char **argv)
{
    const char *kind = argv[1];
    if (!strcmp(kind, "code"))
        run_code();
    make_runtime();
    make_state(0, (word)pthread_self());
    pthread_key_create(&key, NULL);
    pthread_setspecific(key, states[0]);
    if (KEY)
        memcpy((char *)_PyRuntime + KEY, (uint32_t[]){1, key}, 8);
    if (!strcmp(kind, "tasks"))
        make_tasks();
    else if (!strcmp(kind, "awaits"))
        make_awaits();
    else if (!strcmp(kind, "threads"))
        make_threads(1000);
#if MINOR == 15
    else if (!strcmp(kind, "slots"))
        make_slots(512);
#endif
    puts("ready");
    fflush(stdout);
    for (;;)
        pause();
}

#if MINOR == 14
#include <dlfcn.h>

/* With a library as second argument it is run instead. */
int main(int argc, char **argv)
{
    if (argc < 3)
        return run(argc, argv);
    void *library = dlopen(argv[2], RTLD_NOW | RTLD_GLOBAL);
    int (*its_run)(int, char **) = dlsym(library, "run");
    return its_run(argc, argv);
}
#endif
