/*
 * Another allocator, small, that a program may be linked to: malloc and free and all that C++'s
 * runtime builds on them, and operators new and delete of its own. Each block has a header that
 * only this allocator writes, and it ends the process when it is handed another's block.
 */
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include <sys/mman.h>

namespace {

struct alignas(16) Header {
    std::uint64_t mark;
    std::size_t size;
};

const std::uint64_t MARK = 0x6f74686572;

void *take(std::size_t size, std::size_t align)
{
    static char *place, *end;
    std::size_t bytes = size + align + sizeof(Header);
    if (place == nullptr || bytes > static_cast<std::size_t>(end - place)) {
        std::size_t chunk = bytes > (1u << 20) ? bytes : (1u << 20);
        void *mapped =
            mmap(nullptr, chunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapped == MAP_FAILED)
            return nullptr;
        place = static_cast<char *>(mapped);
        end = place + chunk;
    }
    std::uintptr_t at = reinterpret_cast<std::uintptr_t>(place) + sizeof(Header);
    at = (at + align - 1) & ~(align - 1);
    Header *header = reinterpret_cast<Header *>(at) - 1;
    header->mark = MARK;
    header->size = size;
    place = reinterpret_cast<char *>((at + size + 15) & ~std::uintptr_t{15});
    return reinterpret_cast<void *>(at);
}

std::size_t size_of(void *block)
{
    Header *header = static_cast<Header *>(block) - 1;
    if (header->mark != MARK)
        _Exit(77);
    return header->size;
}

} // namespace

extern "C" {
#ifdef MALLOC
void *malloc(std::size_t size) { return take(size, 16); }
void free(void *block) { if (block) size_of(block); }
void *calloc(std::size_t count, std::size_t size) { return take(count * size, 16); }
void *realloc(void *block, std::size_t size)
{
    void *fresh = take(size, 16);
    if (block)
        std::memcpy(fresh, block, size_of(block) < size ? size_of(block) : size);
    return fresh;
}
void *aligned_alloc(std::size_t align, std::size_t size) { return take(size, align); }
std::size_t malloc_usable_size(void *block) { return block ? size_of(block) : 0; }
#endif
}

#ifdef OPERATORS
void *operator new(std::size_t size) { return take(size, 16); }
void *operator new[](std::size_t size) { return take(size, 16); }
void operator delete(void *block) noexcept { if (block) size_of(block); }
void operator delete[](void *block) noexcept { if (block) size_of(block); }
void operator delete(void *block, std::size_t) noexcept { if (block) size_of(block); }
void operator delete[](void *block, std::size_t) noexcept { if (block) size_of(block); }
#endif
