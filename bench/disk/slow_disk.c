/* Makes every flush of a PostgreSQL server take longer, as on a disk across a network: preloaded into the server, it sleeps
   for FLUSH_DELAY_US microseconds before each fdatasync() and fsync(). */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static void delay(void)
{
    const char *text = getenv("FLUSH_DELAY_US");
    long us = text ? atol(text) : 0;
    if (us > 0) {
        struct timespec rest = {us / 1000000, us % 1000000 * 1000};
        while (nanosleep(&rest, &rest) != 0) {
        }
    }
}

static int flush(const char *name, int file)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    delay();
    return real(file);
}

int fdatasync(int file)
{
    return flush("fdatasync", file);
}

int fsync(int file)
{
    return flush("fsync", file);
}
