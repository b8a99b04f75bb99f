/* `vast_image KIND PATH`: writes an ELF file that has more than there is time or room for, and runs code of it. `holes`: gigabytes
 * of symbols, none of which are there. `symbols`: a million functions, each around all of the code. `jumps`: an interpreter
 * whose loop is nothing but jumps, to as many parts. */
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, SECTIONS = PAGE, NAMES = 2 * PAGE, CODE = 4 * PAGE, CODE_BYTES = 16 * PAGE, REST = 32 * PAGE };
enum { STRINGS = 2, MAX_SECTIONS = 8 };

static const char names[] = "\0.names\0.dynstr\0.text\0.dynsym\0.loop\0.eh_frame_hdr";
static const char strings[] = "\0_PyRuntime\0PyCode_Type\0_PyEval_EvalFrameDefault\0everywhere";
static Elf64_Shdr sections[MAX_SECTIONS];
/* What jumps back leads to has an address, too. */
static const uint64_t base = 1ul << 32;
static int file, count = 1;

static unsigned in(const char *texts, size_t bytes, const char *text)
{
    return (const char *)memmem(texts, bytes, text, strlen(text) + 1) - texts;
}

static void add(const char *name, int type, uint64_t at, uint64_t bytes)
{
    sections[count++] = (Elf64_Shdr){
        .sh_name = in(names, sizeof names, name), .sh_type = type, .sh_flags = SHF_ALLOC, .sh_addr = base + at,
        .sh_offset = at, .sh_size = bytes, .sh_link = type == SHT_DYNSYM ? STRINGS : 0, .sh_info = 1,
        .sh_entsize = type == SHT_DYNSYM ? sizeof(Elf64_Sym) : 0, .sh_addralign = 1};
}

static Elf64_Sym symbol(const char *name, uint64_t at, uint64_t bytes)
{
    return (Elf64_Sym){.st_name = in(strings, sizeof strings, name), .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
                       .st_shndx = 1, .st_value = base + at, .st_size = bytes};
}

static void add_symbols(int symbols)
{
    Elf64_Sym *table = calloc(symbols, sizeof *table);
    for (int i = 1; i < symbols; i++)
        table[i] = symbol("everywhere", i % CODE, CODE + CODE_BYTES);
    pwrite(file, table, symbols * sizeof *table, REST);
    add(".dynsym", SHT_DYNSYM, REST, symbols * sizeof *table);
}

/* Every byte of the loop begins a jump, for a displacement is a jump's first byte four times. */
static void add_jumps(int bytes, int parts)
{
    enum { EACH = 16 << 10 };
    uint64_t loop = REST + PAGE, table_at = loop + bytes;
    Elf64_Sym table[] = {
        {0}, symbol("_PyRuntime", CODE, 8), symbol("PyCode_Type", CODE, 8), symbol("_PyEval_EvalFrameDefault", loop, bytes)};
    pwrite(file, table, sizeof table, REST);
    add(".dynsym", SHT_DYNSYM, REST, sizeof table);
    char *jumps = malloc(bytes);
    memset(jumps, 0xe9, bytes);
    pwrite(file, jumps, bytes, loop);
    add(".loop", SHT_PROGBITS, loop, bytes);
    int32_t *header = calloc(3 + 2 * parts, sizeof *header);
    memcpy(header, "\1\x1b\3\x3b", 4);
    header[2] = parts;
    for (int part = 0; part < parts; part++)
        header[3 + 2 * part] = INT32_MIN + part * (uint32_t)EACH;
    pwrite(file, header, 4 * (3 + 2 * parts), table_at);
    add(".eh_frame_hdr", SHT_PROGBITS, table_at, 4 * (3 + 2 * parts));
}

int main(int argc, char **argv)
{
    const char *kind = argv[1];
    file = open(argv[2], O_RDWR | O_CREAT | O_TRUNC, 0755);
    add(".names", SHT_STRTAB, NAMES, sizeof names);
    add(".dynstr", SHT_STRTAB, NAMES + sizeof names, sizeof strings);
    add(".text", SHT_PROGBITS, CODE, CODE_BYTES);
    if (!strcmp(kind, "holes"))
        add(".dynsym", SHT_DYNSYM, REST, 3l << 30), ftruncate(file, 4l << 30);
    else if (!strcmp(kind, "symbols"))
        add_symbols(1 << 20);
    else
        add_jumps(32 << 20, 1 << 17);
    Elf64_Ehdr head = {
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT}, .e_type = ET_DYN, .e_machine = EM_X86_64,
        .e_version = EV_CURRENT, .e_phoff = sizeof head, .e_shoff = SECTIONS, .e_ehsize = sizeof head,
        .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 1, .e_shentsize = sizeof *sections, .e_shnum = count, .e_shstrndx = 1};
    Elf64_Phdr load = {.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = CODE, .p_vaddr = base + CODE,
                       .p_filesz = CODE_BYTES, .p_memsz = CODE_BYTES, .p_align = PAGE};
    pwrite(file, &head, sizeof head, 0);
    pwrite(file, &load, sizeof load, sizeof head);
    pwrite(file, sections, sizeof sections, SECTIONS);
    pwrite(file, names, sizeof names, NAMES);
    pwrite(file, strings, sizeof strings, NAMES + sizeof names);
    /* Many a nop, and back: there are as many addresses to be found at. */
    char code[CODE_BYTES];
    memset(code, 0x90, sizeof code);
    int32_t back = -(int32_t)sizeof code;
    code[sizeof code - 5] = 0xe9;
    memcpy(code + sizeof code - 4, &back, sizeof back);
    pwrite(file, code, sizeof code, CODE);
    void *mapped = mmap(NULL, CODE_BYTES, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, CODE);
    puts("ready");
    fflush(stdout);
    ((void (*)(void))mapped)();
}
