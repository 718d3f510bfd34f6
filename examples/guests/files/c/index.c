// Lists the files of a folder with their sizes, and writes the list into the folder as `INDEX`.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct row {
    char name[256];
    long long size;
};

static int by_name(const void *one, const void *two) {
    return strcmp(((const struct row *)one)->name, ((const struct row *)two)->name);
}

static int fail(const char *folder) {
    fprintf(stderr, "index: %s: %s\n", folder, strerror(errno));
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fputs("usage: index FOLDER\n", stderr);
        return 1;
    }
    const char *folder = argv[1];
    char path[4096];
    DIR *dir = opendir(folder);
    if (!dir)
        return fail(folder);
    struct row *rows = NULL;
    size_t count = 0;
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        struct stat about;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (stat(path, &about) != 0)
            return fail(path);
        if (!S_ISREG(about.st_mode) || strcmp(entry->d_name, "INDEX") == 0)
            continue;
        rows = realloc(rows, (count + 1) * sizeof *rows);
        if (!rows)
            return fail(folder);
        snprintf(rows[count].name, sizeof rows[count].name, "%s", entry->d_name);
        rows[count++].size = about.st_size;
    }
    closedir(dir);
    qsort(rows, count, sizeof *rows, by_name);
    snprintf(path, sizeof path, "%s/INDEX", folder);
    FILE *index = fopen(path, "w");
    if (!index)
        return fail(path);
    for (size_t i = 0; i < count; i++) {
        fprintf(index, "%8lld %s\n", rows[i].size, rows[i].name);
        printf("%8lld %s\n", rows[i].size, rows[i].name);
    }
    return fclose(index) == 0 ? 0 : fail(path);
}
