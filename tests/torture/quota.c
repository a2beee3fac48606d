/* A quota that is reached: for tests, by LD_PRELOAD.

   While the file $QUOTA_REACHED exists, writes below the folder $QUOTA_FOLDER that need another block
   fail with EDQUOT, as on a disk with quotas (quotactl(2)). */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static const off_t block = 4096;

static int is_over(int handle, off_t offset, size_t count)
{
    const char *reached = getenv("QUOTA_REACHED"), *folder = getenv("QUOTA_FOLDER");
    char link[64], path[PATH_MAX];
    struct stat status;
    ssize_t length;

    if (reached == NULL || folder == NULL || access(reached, F_OK) != 0)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = '\0';
    if (strncmp(path, folder, strlen(folder)) != 0)
        return 0;
    if (fstat(handle, &status) != 0 || !S_ISREG(status.st_mode))
        return 0;
    if (offset < 0)
        offset = lseek(handle, 0, SEEK_CUR);
    if (offset + (off_t)count <= (status.st_size + block - 1) / block * block)
        return 0;
    errno = EDQUOT;
    return 1;
}

ssize_t write(int handle, const void *data, size_t count)
{
    static ssize_t (*real)(int, const void *, size_t);
    if (real == NULL)
        real = dlsym(RTLD_NEXT, "write");
    return is_over(handle, -1, count) ? -1 : real(handle, data, count);
}

ssize_t pwrite(int handle, const void *data, size_t count, off_t offset)
{
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (real == NULL)
        real = dlsym(RTLD_NEXT, "pwrite");
    return is_over(handle, offset, count) ? -1 : real(handle, data, count, offset);
}

ssize_t pwrite64(int handle, const void *data, size_t count, off64_t offset)
{
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (real == NULL)
        real = dlsym(RTLD_NEXT, "pwrite64");
    return is_over(handle, offset, count) ? -1 : real(handle, data, count, offset);
}

int fallocate(int handle, int mode, off_t offset, off_t length)
{
    static int (*real)(int, int, off_t, off_t);
    if (real == NULL)
        real = dlsym(RTLD_NEXT, "fallocate");
    return is_over(handle, offset, (size_t)length) ? -1 : real(handle, mode, offset, length);
}
