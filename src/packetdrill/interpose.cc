#include "packetdrill/interpose.h"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

namespace wh::packetdrill {
namespace {

struct Tables {
  const ElfW(Sym) * symbols = nullptr;
  const char* names = nullptr;
  const ElfW(Rela) * relocations[2] = {};  // Of calls, and of addresses taken.
  size_t counts[2] = {};
};

Tables tables_of(const ElfW(Dyn) * entry) {
  Tables t;
  for (; entry->d_tag != DT_NULL; ++entry) {
    const auto at = entry->d_un.d_ptr;
    const size_t count = entry->d_un.d_val / sizeof(ElfW(Rela));
    switch (entry->d_tag) {
      case DT_SYMTAB: t.symbols = reinterpret_cast<const ElfW(Sym)*>(at); break;
      case DT_STRTAB: t.names = reinterpret_cast<const char*>(at); break;
      case DT_JMPREL: t.relocations[0] = reinterpret_cast<const ElfW(Rela)*>(at); break;
      case DT_PLTRELSZ: t.counts[0] = count; break;
      case DT_RELA: t.relocations[1] = reinterpret_cast<const ElfW(Rela)*>(at); break;
      case DT_RELASZ: t.counts[1] = count; break;
      default: break;
    }
  }
  return t;
}

// The slot may lie in a page that is read-only since start-up.
bool store(ElfW(Addr) slot, Getsockopt value) {
  const auto page = static_cast<ElfW(Addr)>(::sysconf(_SC_PAGESIZE));
  auto* begin = reinterpret_cast<void*>(slot & ~(page - 1));
  if (::mprotect(begin, page, PROT_READ | PROT_WRITE) != 0) return false;
  std::memcpy(reinterpret_cast<void*>(slot), &value, sizeof value);
  return true;
}

struct Search {
  Getsockopt replacement;
  bool is_done = false;
};

// Called for each loaded object; the main program comes first.
int visit(dl_phdr_info* info, size_t, void* argument) {
  auto& search = *static_cast<Search*>(argument);
  for (size_t i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_DYNAMIC) continue;
    const Tables t =
        tables_of(reinterpret_cast<const ElfW(Dyn)*>(info->dlpi_addr + segment.p_vaddr));
    if (t.symbols == nullptr || t.names == nullptr) break;
    for (size_t kind = 0; kind < 2; ++kind) {
      for (size_t r = 0; r < t.counts[kind] && t.relocations[kind] != nullptr; ++r) {
        const ElfW(Rela)& relocation = t.relocations[kind][r];
        const size_t symbol = relocation.r_info >> 32;
        if (symbol == 0 || std::strcmp(t.names + t.symbols[symbol].st_name, "getsockopt") != 0)
          continue;
        search.is_done |= store(info->dlpi_addr + relocation.r_offset, search.replacement);
      }
    }
  }
  return 1;  // Only the main program.
}

}  // namespace

bool lead_getsockopt_to(Getsockopt replacement) {
  static_assert(sizeof(ElfW(Addr)) == 8, "relocations are read as 64-bit ELF has them");
  Search search{replacement};
  ::dl_iterate_phdr(visit, &search);
  return search.is_done;
}

}  // namespace wh::packetdrill
