// Exports `docs:exchange/types`, on the canonical ABI as it is: no generated bindings. Values of up to 16
// core numbers are parameters, larger results lie behind the pointer that is returned, and `cabi_post_*`
// frees what was in them.

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PACKAGE "docs:exchange/types@1.0.0"
#define EXPORT(name) __attribute__((export_name(PACKAGE "#" name)))
#define POST(name) __attribute__((export_name("cabi_post_" PACKAGE "#" name)))
#define RESOURCE(name) __attribute__((import_module("[export]" PACKAGE), import_name(name)))

typedef struct { char *bytes; size_t len; } string;
typedef struct { string *items; size_t len; } strings;
typedef struct { uint8_t *items; size_t len; } bytes;
typedef struct { string key; uint32_t value; } entry;
typedef struct { entry *items; size_t len; } map;

__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_len, size_t align, size_t len) {
  (void)old_len;
  if (len == 0) return (void *)align;
  void *made = realloc(old, len);
  if (!made) abort();
  return made;
}

static void *room(size_t len) {
  void *made = malloc(len ? len : 1);
  if (!made) abort();
  return made;
}

// What is empty was never allocated; see `cabi_realloc`.
static void release(void *at, size_t len) {
  if (len) free(at);
}

// ---- numbers

typedef struct {
  bool a; int8_t b; uint8_t c; int16_t d; uint16_t e; int32_t f; uint32_t g; int64_t h; uint64_t i; float j; double k;
  uint32_t l;
} numbers;

EXPORT("numbers") numbers *exchange_numbers(int32_t a, int32_t b, int32_t c, int32_t d, int32_t e, int32_t f, int32_t g,
                                            int64_t h, int64_t i, float j, double k, int32_t l) {
  static numbers out;
  out = (numbers){!a, (int8_t)(b + 1), (uint8_t)(c + 1), (int16_t)(d + 1), (uint16_t)(e + 1),
                  (int32_t)((uint32_t)f + 1), (uint32_t)g + 1, (int64_t)((uint64_t)h + 1), (uint64_t)i + 1,
                  j + 1, k + 1, (uint32_t)l + 1};
  return &out;
}

// ---- strings and lists

EXPORT("greet") string *exchange_greet(char *name, size_t len) {
  static const char before[] = "hello, ";
  static string out;
  out.len = sizeof before - 1 + len;
  out.bytes = room(out.len);
  memcpy(out.bytes, before, sizeof before - 1);
  memcpy(out.bytes + sizeof before - 1, name, len);
  release(name, len);
  return &out;
}

POST("greet") void exchange_post_greet(string *out) { release(out->bytes, out->len); }

EXPORT("reverse") strings *exchange_reverse(string *words, size_t len) {
  static strings out;
  for (size_t i = 0; i < len / 2; i++) {
    string word = words[i];
    words[i] = words[len - 1 - i];
    words[len - 1 - i] = word;
  }
  out = (strings){words, len};
  return &out;
}

POST("reverse") void exchange_post_reverse(strings *out) {
  for (size_t i = 0; i < out->len; i++) release(out->items[i].bytes, out->items[i].len);
  release(out->items, out->len);
}

EXPORT("reverse-bytes") bytes *exchange_reverse_bytes(uint8_t *items, size_t len) {
  static bytes out;
  for (size_t i = 0; i < len / 2; i++) {
    uint8_t item = items[i];
    items[i] = items[len - 1 - i];
    items[len - 1 - i] = item;
  }
  out = (bytes){items, len};
  return &out;
}

POST("reverse-bytes") void exchange_post_reverse_bytes(bytes *out) { release(out->items, out->len); }

// A list of fixed length is its elements.
EXPORT("sums") uint16_t *exchange_sums(int32_t a, int32_t b, int32_t c, int32_t d) {
  static uint16_t out[4];
  out[0] = (uint16_t)a;
  out[1] = (uint16_t)(out[0] + b);
  out[2] = (uint16_t)(out[1] + c);
  out[3] = (uint16_t)(out[2] + d);
  return out;
}

// A map is the list of its entries.
EXPORT("double") map *exchange_double(entry *items, size_t len) {
  static map out;
  for (size_t i = 0; i < len; i++) items[i].value *= 2;
  out = (map){items, len};
  return &out;
}

POST("double") void exchange_post_double(map *out) {
  for (size_t i = 0; i < out->len; i++) release(out->items[i].key.bytes, out->items[i].key.len);
  release(out->items, out->len);
}

// ---- records, enums, flags, variants

typedef struct { int32_t x, y; } point;

EXPORT("mirror") point *exchange_mirror(int32_t x, int32_t y) {
  static point out;
  out = (point){y, x};
  return &out;
}

EXPORT("next") int32_t exchange_next(int32_t color) { return (color + 1) % 3; }

EXPORT("others") int32_t exchange_others(int32_t rights) { return ~rights & 7; }

enum { CIRCLE, BOX, NAMED, NOTHING };

typedef struct {
  uint8_t tag;
  union { double circle; struct { float width, height; } box; string named; } is;
} shape;

// The cases share core parameters: the first is wide enough for a circle, a width and an address.
EXPORT("grow") shape *exchange_grow(int32_t tag, int64_t first, int32_t second) {
  static shape out;
  out.tag = (uint8_t)tag;
  switch (tag) {
    case CIRCLE:
      memcpy(&out.is.circle, &first, 8);
      out.is.circle *= 2;
      break;
    case BOX: {
      int32_t width = (int32_t)first;
      memcpy(&out.is.box.width, &width, 4);
      memcpy(&out.is.box.height, &second, 4);
      out.is.box.width *= 2;
      out.is.box.height *= 2;
      break;
    }
    case NAMED: {
      char *name = (char *)(uintptr_t)first;
      size_t len = (size_t)second;
      out.is.named = (string){room(2 * len), 2 * len};
      memcpy(out.is.named.bytes, name, len);
      memcpy(out.is.named.bytes + len, name, len);
      release(name, len);
      break;
    }
    default:
      break;
  }
  return &out;
}

POST("grow") void exchange_post_grow(shape *out) {
  if (out->tag == NAMED) free(out->is.named.bytes);
}

typedef struct { uint8_t is_some; uint32_t value; } option_u32;

EXPORT("half") option_u32 *exchange_half(int32_t is_some, int32_t value) {
  static option_u32 out;
  out = (option_u32){is_some && value % 2 == 0, (uint32_t)value / 2};
  return &out;
}

typedef struct {
  uint8_t is_error;
  union { uint32_t ok; string error; } is;
} result_u32;

EXPORT("divide") result_u32 *exchange_divide(int32_t a, int32_t b) {
  static char error[] = "division by zero";
  static result_u32 out;
  out.is_error = b == 0;
  if (b) out.is.ok = (uint32_t)a / (uint32_t)b;
  else out.is.error = (string){error, sizeof error - 1};
  return &out;
}

// ---- errors for people

// Functions that every component may import.
#define ROOT(name) __attribute__((import_module("$root"), import_name(name)))

ROOT("[error-context-new-utf8]") int32_t error_context_new(const char *bytes, size_t len);
ROOT("[error-context-debug-message-utf8]") void error_context_message(int32_t error, string *out);
ROOT("[error-context-drop]") void error_context_drop(int32_t error);

EXPORT("trace") int32_t exchange_trace(int32_t why) {
  static const char before[] = "at the bank: ";
  string message;
  error_context_message(why, &message);
  error_context_drop(why);
  size_t len = sizeof before - 1 + message.len;
  char *bytes = room(len);
  memcpy(bytes, before, sizeof before - 1);
  memcpy(bytes + sizeof before - 1, message.bytes, message.len);
  release(message.bytes, message.len);
  int32_t out = error_context_new(bytes, len);
  free(bytes);
  return out;
}

// ---- a resource

typedef struct { string owner; uint64_t money; } account;

RESOURCE("[resource-new]account") int32_t account_new(account *);
RESOURCE("[resource-rep]account") account *account_rep(int32_t);
RESOURCE("[resource-drop]account") void account_drop(int32_t);

static uint32_t accounts;

EXPORT("[constructor]account") int32_t exchange_account(char *owner, size_t len) {
  account *made = room(sizeof *made);
  *made = (account){{owner, len}, 0};
  accounts++;
  return account_new(made);
}

// A borrowed handle of one's own resource is what it stands for.
EXPORT("[method]account.owner") string *exchange_account_owner(account *self) { return &self->owner; }

EXPORT("[method]account.deposit") int64_t exchange_account_deposit(account *self, int64_t amount) {
  self->money += (uint64_t)amount;
  return (int64_t)self->money;
}

EXPORT("[static]account.merge") int32_t exchange_account_merge(int32_t to, account *from) {
  account *into = account_rep(to);
  into->money += from->money;
  from->money = 0;
  return to;
}

EXPORT("[static]account.count") int32_t exchange_account_count(void) { return (int32_t)accounts; }

EXPORT("[dtor]account") void exchange_account_dtor(account *self) {
  accounts--;
  release(self->owner.bytes, self->owner.len);
  free(self);
}
