/* What Rust's standard library needs of Windows' bcryptprimitives.dll, for a Wine that does not have it (before 9.0). */
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE place, SIZE_T length)
{
    return RtlGenRandom(place, (ULONG)length);
}
