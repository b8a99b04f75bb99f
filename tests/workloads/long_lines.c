/* `long_lines KIND FOLDER`: a process of which `/proc` has gigabytes to tell, for each line of them has a long path. `mappings`: of a
 * file far down below FOLDER. `mounts`: in a namespace of its own, with a file mapped of each. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096, NAME = 250, MAPPINGS = 16000, MOUNTS = 8000 };

static void descend(int levels)
{
    char name[NAME + 1];
    memset(name, 'd', NAME);
    name[NAME] = 0;
    while (levels-- > 0) {
        mkdir(name, 0755);
        if (chdir(name))
            exit(1);
    }
}

static void map(const char *path, char *at)
{
    int file = open(path, O_RDWR | O_CREAT, 0755);
    ftruncate(file, PAGE);
    if (mmap(at, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, file, 0) == MAP_FAILED)
        exit(1);
    close(file);
}

static void say(const char *path, const char *words)
{
    int file = open(path, O_WRONLY);
    write(file, words, strlen(words));
    close(file);
}

static void have_namespace(const char *folder)
{
    char users[64], groups[64];
    snprintf(users, sizeof users, "0 %d 1", getuid());
    snprintf(groups, sizeof groups, "0 %d 1", getgid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
        exit(1);
    say("/proc/self/setgroups", "deny");
    say("/proc/self/uid_map", users);
    say("/proc/self/gid_map", groups);
    if (mount("long", folder, "tmpfs", 0, NULL))
        exit(1);
}

int main(int argc, char **argv)
{
    int is_mounts = !strcmp(argv[1], "mounts"), count = is_mounts ? MOUNTS : MAPPINGS;
    if (is_mounts)
        have_namespace(argv[2]);
    if (chdir(argv[2]))
        return 1;
    descend(is_mounts ? 14 : 400);
    char *at = mmap(NULL, 2l * PAGE * count, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (int i = 0; i < count; i++) {
        char path[64] = "libpython.so", folder[32];
        if (is_mounts) {
            snprintf(folder, sizeof folder, "%d", i);
            mkdir(folder, 0755);
            if (mount(folder, folder, NULL, MS_BIND, NULL))
                return 1;
            snprintf(path, sizeof path, "%d/libpython.so", i);
        }
        map(path, at + 2l * PAGE * i);
    }
    puts("ready");
    fflush(stdout);
    for (;;)
        pause();
}
