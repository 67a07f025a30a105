/* What cc1 compiles for its trace: self-contained, so that no system's headers get into it. A hash
 * table, a sort, a matrix product, a small interpreter, each stamped out for several types. */

typedef unsigned long word;

#define TABLE(NAME, KEY, VALUE, SIZE)                                                              \
    struct NAME##_entry { KEY key; VALUE value; int used; };                                       \
    static struct NAME##_entry NAME##_entries[SIZE];                                               \
    static word NAME##_hash(KEY key) {                                                             \
        word h = 1469598103934665603UL;                                                            \
        const unsigned char *bytes = (const unsigned char *)&key;                                  \
        for (unsigned i = 0; i < sizeof key; i++) h = (h ^ bytes[i]) * 1099511628211UL;            \
        return h % (SIZE);                                                                         \
    }                                                                                              \
    int NAME##_put(KEY key, VALUE value) {                                                         \
        word at = NAME##_hash(key);                                                                \
        for (word i = 0; i < (SIZE); i++) {                                                        \
            struct NAME##_entry *entry = &NAME##_entries[(at + i) % (SIZE)];                       \
            if (!entry->used || entry->key == key) {                                               \
                entry->key = key;                                                                  \
                entry->value = value;                                                              \
                entry->used = 1;                                                                   \
                return 1;                                                                          \
            }                                                                                      \
        }                                                                                          \
        return 0;                                                                                  \
    }                                                                                              \
    VALUE NAME##_get(KEY key, VALUE otherwise) {                                                   \
        word at = NAME##_hash(key);                                                                \
        for (word i = 0; i < (SIZE) && NAME##_entries[(at + i) % (SIZE)].used; i++)                \
            if (NAME##_entries[(at + i) % (SIZE)].key == key)                                      \
                return NAME##_entries[(at + i) % (SIZE)].value;                                    \
        return otherwise;                                                                          \
    }

#define SORT(NAME, TYPE)                                                                           \
    void NAME(TYPE *items, long low, long high) {                                                  \
        while (low < high) {                                                                       \
            TYPE pivot = items[low + (high - low) / 2];                                            \
            long i = low, j = high;                                                                \
            while (i <= j) {                                                                       \
                while (items[i] < pivot) i++;                                                      \
                while (pivot < items[j]) j--;                                                      \
                if (i <= j) {                                                                      \
                    TYPE kept = items[i];                                                          \
                    items[i++] = items[j];                                                         \
                    items[j--] = kept;                                                             \
                }                                                                                  \
            }                                                                                      \
            if (j - low < high - i) {                                                              \
                NAME(items, low, j);                                                               \
                low = i;                                                                           \
            } else {                                                                               \
                NAME(items, i, high);                                                              \
                high = j;                                                                          \
            }                                                                                      \
        }                                                                                          \
    }

#define MATRIX(NAME, TYPE, N)                                                                      \
    void NAME(TYPE (*restrict out)[N], TYPE (*restrict a)[N], TYPE (*restrict b)[N]) {             \
        for (int i = 0; i < (N); i++)                                                              \
            for (int j = 0; j < (N); j++) {                                                        \
                TYPE sum = 0;                                                                      \
                for (int k = 0; k < (N); k++) sum += a[i][k] * b[k][j];                            \
                out[i][j] = sum;                                                                   \
            }                                                                                      \
    }

#define MACHINE(NAME, TYPE)                                                                        \
    TYPE NAME(const unsigned char *code, TYPE *stack, TYPE *memory) {                              \
        TYPE *top = stack;                                                                         \
        for (;;) switch (*code++) {                                                                \
            case 0: return *top;                                                                   \
            case 1: *++top = (TYPE)*code++; break;                                                 \
            case 2: top--; *top = (TYPE)(top[0] + top[1]); break;                                  \
            case 3: top--; *top = (TYPE)(top[0] - top[1]); break;                                  \
            case 4: top--; *top = (TYPE)(top[0] * top[1]); break;                                  \
            case 5: top--; *top = (TYPE)(top[1] != 0 ? top[0] / top[1] : 0); break;                \
            case 6: *++top = memory[*code++]; break;                                               \
            case 7: memory[*code++] = *top--; break;                                               \
            case 8: if (*top-- != 0) code += (signed char)*code; else code++; break;               \
            case 9: top[1] = top[0]; top++; break;                                                 \
            case 10: { TYPE kept = top[0]; top[0] = top[-1]; top[-1] = kept; } break;              \
            case 11: *top = (TYPE)(top[0] < 0 ? -top[0] : top[0]); break;                          \
            default: return (TYPE)-1;                                                              \
        }                                                                                          \
    }

TABLE(ages, int, short, 257)
TABLE(names, long, const char *, 1021)
TABLE(flags, unsigned char, unsigned, 64)
SORT(sort_ints, int)
SORT(sort_longs, long)
SORT(sort_doubles, double)
MATRIX(multiply_ints, int, 24)
MATRIX(multiply_floats, float, 32)
MATRIX(multiply_doubles, double, 16)
MACHINE(run_ints, int)
MACHINE(run_longs, long)
MACHINE(run_doubles, double)

static int data[4096];

int main(int count, char **arguments) {
    for (int i = 0; i < 4096; i++) data[i] = (i * 7919 + count) % 4093;
    sort_ints(data, 0, 4095);
    for (int i = 0; i < 200; i++) {
        ages_put(data[i * 20], (short)i);
        names_put(data[i * 20], arguments[0]);
        flags_put((unsigned char)(i % 50), (unsigned)i);
    }
    int stack[64], memory[256] = {0};
    static const unsigned char code[] = {
        1, 20, 7, 0, 6, 0, 1, 1, 3, 9, 7, 0, 8, (unsigned char)-8, 6, 0, 0};
    return run_ints(code, stack, memory) + ages_get(data[40], -1) + (int)flags_get(3, 9);
}
