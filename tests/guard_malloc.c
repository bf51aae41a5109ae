/* Aligned memory, such as TensorFlow's tensors, that ends where the address space does:
   a read or write behind it stops the process at once (SIGSEGV), where malloc's own
   check would see it later or never.

   cc -O2 -shared -fPIC guard_malloc.c -o guard_malloc.so -ldl
   LD_PRELOAD=./guard_malloc.so python ... */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096UL
#define REGION (64UL << 40) /* of addresses; none is used twice */
#define ALIGNMENT 64UL

/* Each block: a page that begins with this, pages that end with the data, a page that
   nobody may touch. */
struct header {
  size_t size, total;
};

static uintptr_t region;
static _Atomic uintptr_t next_block;

static void reserve(void) {
  void *p = mmap(NULL, REGION, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                 -1, 0);
  if (p == MAP_FAILED) abort();
  next_block = region = (uintptr_t)p;
}

/* Before the first thread, and earlier if memory is wanted earlier. */
__attribute__((constructor)) static void start(void) {
  if (!region) reserve();
}

static int is_guarded(void *p) {
  return region && (uintptr_t)p >= region && (uintptr_t)p < region + REGION;
}

static struct header *header_of(void *p) {
  return (struct header *)(((uintptr_t)p & ~(PAGE - 1)) - PAGE);
}

static void *guarded(size_t size) {
  start();
  size_t used = (size ? size + ALIGNMENT - 1 : ALIGNMENT) / ALIGNMENT * ALIGNMENT;
  size_t pages = (used + PAGE - 1) / PAGE * PAGE, total = pages + 2 * PAGE;
  uintptr_t block = atomic_fetch_add(&next_block, total);
  if (block + total > region + REGION) abort();
  if (mprotect((void *)block, pages + PAGE, PROT_READ | PROT_WRITE)) abort();
  *(struct header *)block = (struct header){size, total};
  return (void *)(block + PAGE + pages - used);
}

int posix_memalign(void **out, size_t alignment, size_t size) {
  (void)alignment;
  *out = guarded(size);
  return 0;
}

void *aligned_alloc(size_t alignment, size_t size) {
  (void)alignment;
  return guarded(size);
}

void *memalign(size_t alignment, size_t size) { return aligned_alloc(alignment, size); }

void free(void *p) {
  static void (*next)(void *);
  if (is_guarded(p)) {
    struct header *block = header_of(p);
    size_t total = block->total;
    madvise(block, total, MADV_DONTNEED);
    mprotect(block, total, PROT_NONE);
    return;
  }
  if (!next) next = dlsym(RTLD_NEXT, "free");
  next(p);
}

void *realloc(void *p, size_t size) {
  static void *(*next)(void *, size_t);
  if (is_guarded(p)) {
    size_t before = header_of(p)->size;
    void *moved = guarded(size);
    memcpy(moved, p, before < size ? before : size);
    free(p);
    return moved;
  }
  if (!next) next = dlsym(RTLD_NEXT, "realloc");
  return next(p, size);
}

size_t malloc_usable_size(void *p) {
  static size_t (*next)(void *);
  if (is_guarded(p)) return header_of(p)->size;
  if (!next) next = dlsym(RTLD_NEXT, "malloc_usable_size");
  return next(p);
}
