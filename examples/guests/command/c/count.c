// Counts the lines, words and bytes of standard input; with `--longest`, says the longest word too.
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_all(FILE *file, size_t *length) {
    size_t room = 65536;
    char *bytes = malloc(room);
    *length = 0;
    while (bytes) {
        size_t got = fread(bytes + *length, 1, room - *length, file);
        *length += got;
        if (got == 0)
            return bytes;
        if (*length == room)
            bytes = realloc(bytes, room *= 2);
    }
    fputs("count: out of memory\n", stderr);
    exit(1);
}

int main(int argc, char **argv) {
    int want_longest = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--longest") != 0) {
            fprintf(stderr, "count: unknown option %s\n", argv[i]);
            return 1;
        }
        want_longest = 1;
    }
    const char *label = getenv("LABEL");
    size_t length, lines = 0, words = 0, longest = 0, longest_at = 0, word = 0;
    char *input = read_all(stdin, &length);
    for (size_t i = 0; i <= length; i++) {
        if (i < length && input[i] == '\n')
            lines++;
        if (i < length && !isspace((unsigned char)input[i])) {
            word++;
            continue;
        }
        words += word > 0;
        if (word > longest) {
            longest = word;
            longest_at = i - word;
        }
        word = 0;
    }
    printf("%s: %zu lines, %zu words, %zu bytes\n", label ? label : "stdin", lines, words, length);
    if (want_longest)
        printf("longest: %.*s\n", (int)longest, input + longest_at);
    return 0;
}
