# Builds guests with CMake:
#
#   cmake -B build -DCMAKE_TOOLCHAIN_FILE=guest-sdk/c/posix-ipc.cmake
#
# Programs are components, NAME.wasm. Tests run in `posix-ipc run` if it is in PATH, with the
# options in the list POSIX_IPC_OPTIONS, as "--sem;/gate,create".

set(CMAKE_SYSTEM_NAME WASI)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(CMAKE_C_COMPILER "${CMAKE_CURRENT_LIST_DIR}/posix-ipc-cc")
set(CMAKE_EXECUTABLE_SUFFIX_C .wasm)
set_property(GLOBAL PROPERTY TARGET_SUPPORTS_SHARED_LIBS FALSE)

# What is installed for this machine is for no guest.
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

find_program(POSIX_IPC posix-ipc)
if(POSIX_IPC)
  set(CMAKE_CROSSCOMPILING_EMULATOR "${POSIX_IPC}" run ${POSIX_IPC_OPTIONS})
endif()
