/* `shifting_file KIND PATH`: maps code of a file that is not what it was, for ever. `fifo`: the file has lost its name, which is a
 * FIFO's by now, and it is mapped and unmapped all the time. `cut`: an ELF file that is cut behind what is mapped, and made
 * long again. `vast`: a file in memory that says it has 2^62 bytes; PATH is only a name. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096 };

/* 1: pause; jmp 1b */
static const unsigned char spin[] = {0xf3, 0x90, 0xeb, 0xfc};

static void *map(int file, off_t at) { return mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, at); }

static void ready(void)
{
    puts("ready");
    fflush(stdout);
}

static void lose_name(const char *path)
{
    int file = open(path, O_RDWR | O_CREAT, 0755);
    ftruncate(file, PAGE);
    unlink(path);
    mkfifo(path, 0666);
    ready();
    for (;;) {
        void *page = map(file, 0);
        usleep(50);
        munmap(page, PAGE);
        usleep(50);
    }
}

static int file;
static off_t bytes;

static void *cut(void *unused)
{
    for (;;) {
        ftruncate(file, 2 * PAGE);
        usleep(200);
        ftruncate(file, bytes);
        usleep(200);
    }
}

/* A copy of this program, whose second page spins. */
static void be_cut(const char *path)
{
    struct stat about;
    int itself = open("/proc/self/exe", O_RDONLY);
    fstat(itself, &about);
    bytes = about.st_size;
    file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0755);
    sendfile(file, itself, NULL, bytes);
    pwrite(file, spin, sizeof spin, PAGE);
    void *page = map(file, PAGE);
    pthread_t thread;
    pthread_create(&thread, NULL, cut, NULL);
    ready();
    ((void (*)(void))page)();
}

static void be_vast(const char *name)
{
    int memory = memfd_create(name, 0);
    ftruncate(memory, 1l << 62);
    pwrite(memory, spin, sizeof spin, 0);
    void *page = map(memory, 0);
    ready();
    ((void (*)(void))page)();
}

int main(int argc, char **argv)
{
    const char *kind = argv[1], *path = argv[2];
    if (!strcmp(kind, "fifo"))
        lose_name(path);
    else if (!strcmp(kind, "cut"))
        be_cut(path);
    else
        be_vast(path);
    return 1;
}
