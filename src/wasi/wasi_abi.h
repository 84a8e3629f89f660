/*
 * The binary interface of WASI preview 1, module "wasi_snapshot_preview1": numbers and struct
 * layouts as the specification's witx files define them. Little-endian; a guest pointer is a u32.
 * Guest structures are copied in and out with memcpy, never used in place: they may be unaligned.
 */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define WASI_MODULE "wasi_snapshot_preview1"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "guest memory is little-endian");

enum wasi_errno {
	WASI_ERRNO_SUCCESS = 0,
	WASI_ERRNO_2BIG = 1,
	WASI_ERRNO_ACCES = 2,
	WASI_ERRNO_ADDRINUSE = 3,
	WASI_ERRNO_ADDRNOTAVAIL = 4,
	WASI_ERRNO_AFNOSUPPORT = 5,
	WASI_ERRNO_AGAIN = 6,
	WASI_ERRNO_ALREADY = 7,
	WASI_ERRNO_BADF = 8,
	WASI_ERRNO_BADMSG = 9,
	WASI_ERRNO_BUSY = 10,
	WASI_ERRNO_CANCELED = 11,
	WASI_ERRNO_CHILD = 12,
	WASI_ERRNO_CONNABORTED = 13,
	WASI_ERRNO_CONNREFUSED = 14,
	WASI_ERRNO_CONNRESET = 15,
	WASI_ERRNO_DEADLK = 16,
	WASI_ERRNO_DESTADDRREQ = 17,
	WASI_ERRNO_DOM = 18,
	WASI_ERRNO_DQUOT = 19,
	WASI_ERRNO_EXIST = 20,
	WASI_ERRNO_FAULT = 21,
	WASI_ERRNO_FBIG = 22,
	WASI_ERRNO_HOSTUNREACH = 23,
	WASI_ERRNO_IDRM = 24,
	WASI_ERRNO_ILSEQ = 25,
	WASI_ERRNO_INPROGRESS = 26,
	WASI_ERRNO_INTR = 27,
	WASI_ERRNO_INVAL = 28,
	WASI_ERRNO_IO = 29,
	WASI_ERRNO_ISCONN = 30,
	WASI_ERRNO_ISDIR = 31,
	WASI_ERRNO_LOOP = 32,
	WASI_ERRNO_MFILE = 33,
	WASI_ERRNO_MLINK = 34,
	WASI_ERRNO_MSGSIZE = 35,
	WASI_ERRNO_MULTIHOP = 36,
	WASI_ERRNO_NAMETOOLONG = 37,
	WASI_ERRNO_NETDOWN = 38,
	WASI_ERRNO_NETRESET = 39,
	WASI_ERRNO_NETUNREACH = 40,
	WASI_ERRNO_NFILE = 41,
	WASI_ERRNO_NOBUFS = 42,
	WASI_ERRNO_NODEV = 43,
	WASI_ERRNO_NOENT = 44,
	WASI_ERRNO_NOEXEC = 45,
	WASI_ERRNO_NOLCK = 46,
	WASI_ERRNO_NOLINK = 47,
	WASI_ERRNO_NOMEM = 48,
	WASI_ERRNO_NOMSG = 49,
	WASI_ERRNO_NOPROTOOPT = 50,
	WASI_ERRNO_NOSPC = 51,
	WASI_ERRNO_NOSYS = 52,
	WASI_ERRNO_NOTCONN = 53,
	WASI_ERRNO_NOTDIR = 54,
	WASI_ERRNO_NOTEMPTY = 55,
	WASI_ERRNO_NOTRECOVERABLE = 56,
	WASI_ERRNO_NOTSOCK = 57,
	WASI_ERRNO_NOTSUP = 58,
	WASI_ERRNO_NOTTY = 59,
	WASI_ERRNO_NXIO = 60,
	WASI_ERRNO_OVERFLOW = 61,
	WASI_ERRNO_OWNERDEAD = 62,
	WASI_ERRNO_PERM = 63,
	WASI_ERRNO_PIPE = 64,
	WASI_ERRNO_PROTO = 65,
	WASI_ERRNO_PROTONOSUPPORT = 66,
	WASI_ERRNO_PROTOTYPE = 67,
	WASI_ERRNO_RANGE = 68,
	WASI_ERRNO_ROFS = 69,
	WASI_ERRNO_SPIPE = 70,
	WASI_ERRNO_SRCH = 71,
	WASI_ERRNO_STALE = 72,
	WASI_ERRNO_TIMEDOUT = 73,
	WASI_ERRNO_TXTBSY = 74,
	WASI_ERRNO_XDEV = 75,
	WASI_ERRNO_NOTCAPABLE = 76,
};

enum {
	WASI_CLOCK_REALTIME = 0,
	WASI_CLOCK_MONOTONIC = 1,
	WASI_CLOCK_PROCESS_CPUTIME = 2,
	WASI_CLOCK_THREAD_CPUTIME = 3
};

#define WASI_RIGHT_FD_DATASYNC		   (UINT64_C(1) << 0)
#define WASI_RIGHT_FD_READ		   (UINT64_C(1) << 1)
#define WASI_RIGHT_FD_SEEK		   (UINT64_C(1) << 2)
#define WASI_RIGHT_FD_FDSTAT_SET_FLAGS	   (UINT64_C(1) << 3)
#define WASI_RIGHT_FD_SYNC		   (UINT64_C(1) << 4)
#define WASI_RIGHT_FD_TELL		   (UINT64_C(1) << 5)
#define WASI_RIGHT_FD_WRITE		   (UINT64_C(1) << 6)
#define WASI_RIGHT_FD_ADVISE		   (UINT64_C(1) << 7)
#define WASI_RIGHT_FD_ALLOCATE		   (UINT64_C(1) << 8)
#define WASI_RIGHT_PATH_CREATE_DIRECTORY   (UINT64_C(1) << 9)
#define WASI_RIGHT_PATH_CREATE_FILE	   (UINT64_C(1) << 10)
#define WASI_RIGHT_PATH_LINK_SOURCE	   (UINT64_C(1) << 11)
#define WASI_RIGHT_PATH_LINK_TARGET	   (UINT64_C(1) << 12)
#define WASI_RIGHT_PATH_OPEN		   (UINT64_C(1) << 13)
#define WASI_RIGHT_FD_READDIR		   (UINT64_C(1) << 14)
#define WASI_RIGHT_PATH_READLINK	   (UINT64_C(1) << 15)
#define WASI_RIGHT_PATH_RENAME_SOURCE	   (UINT64_C(1) << 16)
#define WASI_RIGHT_PATH_RENAME_TARGET	   (UINT64_C(1) << 17)
#define WASI_RIGHT_PATH_FILESTAT_GET	   (UINT64_C(1) << 18)
#define WASI_RIGHT_PATH_FILESTAT_SET_SIZE  (UINT64_C(1) << 19)
#define WASI_RIGHT_PATH_FILESTAT_SET_TIMES (UINT64_C(1) << 20)
#define WASI_RIGHT_FD_FILESTAT_GET	   (UINT64_C(1) << 21)
#define WASI_RIGHT_FD_FILESTAT_SET_SIZE	   (UINT64_C(1) << 22)
#define WASI_RIGHT_FD_FILESTAT_SET_TIMES   (UINT64_C(1) << 23)
#define WASI_RIGHT_PATH_SYMLINK		   (UINT64_C(1) << 24)
#define WASI_RIGHT_PATH_REMOVE_DIRECTORY   (UINT64_C(1) << 25)
#define WASI_RIGHT_PATH_UNLINK_FILE	   (UINT64_C(1) << 26)
#define WASI_RIGHT_POLL_FD_READWRITE	   (UINT64_C(1) << 27)
#define WASI_RIGHT_SOCK_SHUTDOWN	   (UINT64_C(1) << 28)
#define WASI_RIGHT_SOCK_ACCEPT		   (UINT64_C(1) << 29)

enum {
	WASI_FILETYPE_UNKNOWN = 0,
	WASI_FILETYPE_CHARACTER_DEVICE = 2,
	WASI_FILETYPE_DIRECTORY = 3,
	WASI_FILETYPE_REGULAR_FILE = 4,
	WASI_FILETYPE_SYMBOLIC_LINK = 7
};

enum { WASI_WHENCE_SET = 0, WASI_WHENCE_CUR = 1, WASI_WHENCE_END = 2 };

#define WASI_ADVICE_LAST 5u /* normal, sequential, random, willneed, dontneed, noreuse */

#define WASI_FDFLAG_APPEND   1u
#define WASI_FDFLAG_DSYNC    2u
#define WASI_FDFLAG_NONBLOCK 4u
#define WASI_FDFLAG_RSYNC    8u
#define WASI_FDFLAG_SYNC     16u
#define WASI_FDFLAGS_ALL     31u

#define WASI_FSTFLAG_ATIM     1u
#define WASI_FSTFLAG_ATIM_NOW 2u
#define WASI_FSTFLAG_MTIM     4u
#define WASI_FSTFLAG_MTIM_NOW 8u
#define WASI_FSTFLAGS_ALL     15u

#define WASI_LOOKUP_SYMLINK_FOLLOW 1u

#define WASI_OFLAG_CREAT     1u
#define WASI_OFLAG_DIRECTORY 2u
#define WASI_OFLAG_EXCL	     4u
#define WASI_OFLAG_TRUNC     8u
#define WASI_OFLAGS_ALL	     15u

enum { WASI_EVENT_CLOCK = 0, WASI_EVENT_FD_READ = 1, WASI_EVENT_FD_WRITE = 2 };

#define WASI_EVENT_FLAG_HANGUP		1u
#define WASI_SUBSCRIPTION_CLOCK_ABSTIME 1u

/* The signals of proc_raise whose default action is not the end of the program. */
enum {
	WASI_SIGNAL_NONE = 0,
	WASI_SIGNAL_CHLD = 16,
	WASI_SIGNAL_CONT = 17,
	WASI_SIGNAL_STOP = 18,
	WASI_SIGNAL_TSTP = 19,
	WASI_SIGNAL_TTIN = 20,
	WASI_SIGNAL_TTOU = 21,
	WASI_SIGNAL_URG = 22,
	WASI_SIGNAL_WINCH = 27,
	WASI_SIGNAL_LAST = 30
};

struct wasi_abi_iovec {
	uint32_t buf, len;
};
static_assert(sizeof(struct wasi_abi_iovec) == 8, "witx");

struct wasi_abi_fdstat {
	uint8_t filetype;
	uint8_t pad0;
	uint16_t flags;
	uint32_t pad1;
	uint64_t rights_base, rights_inheriting;
};
static_assert(sizeof(struct wasi_abi_fdstat) == 24, "witx");
static_assert(offsetof(struct wasi_abi_fdstat, flags) == 2, "witx");
static_assert(offsetof(struct wasi_abi_fdstat, rights_base) == 8, "witx");

struct wasi_abi_filestat {
	uint64_t dev, ino;
	uint8_t filetype;
	uint8_t pad[7];
	uint64_t nlink, size, atim, mtim, ctim;
};
static_assert(sizeof(struct wasi_abi_filestat) == 64, "witx");
static_assert(offsetof(struct wasi_abi_filestat, filetype) == 16, "witx");
static_assert(offsetof(struct wasi_abi_filestat, nlink) == 24, "witx");
static_assert(offsetof(struct wasi_abi_filestat, ctim) == 56, "witx");

/* Followed by the name, without NUL and without padding. */
struct wasi_abi_dirent {
	uint64_t next, ino;
	uint32_t namlen;
	uint8_t type;
	uint8_t pad[3];
};
static_assert(sizeof(struct wasi_abi_dirent) == 24, "witx");
static_assert(offsetof(struct wasi_abi_dirent, type) == 20, "witx");

struct wasi_abi_prestat {
	uint8_t tag; /* 0: a directory */
	uint8_t pad[3];
	uint32_t name_len;
};
static_assert(sizeof(struct wasi_abi_prestat) == 8, "witx");
static_assert(offsetof(struct wasi_abi_prestat, name_len) == 4, "witx");

struct wasi_abi_subscription_clock {
	uint32_t id;
	uint32_t pad0;
	uint64_t timeout, precision;
	uint16_t flags;
	uint8_t pad1[6];
};
static_assert(sizeof(struct wasi_abi_subscription_clock) == 32, "witx");
static_assert(offsetof(struct wasi_abi_subscription_clock, flags) == 24, "witx");

struct wasi_abi_subscription {
	uint64_t userdata;
	uint8_t tag; /* WASI_EVENT_ */
	uint8_t pad[7];
	union {
		struct wasi_abi_subscription_clock clock;
		uint32_t fd;
	} u;
};
static_assert(sizeof(struct wasi_abi_subscription) == 48, "witx");
static_assert(offsetof(struct wasi_abi_subscription, u) == 16, "witx");

struct wasi_abi_event {
	uint64_t userdata;
	uint16_t error;
	uint8_t type;
	uint8_t pad0[5];
	uint64_t nbytes;
	uint16_t flags;
	uint8_t pad1[6];
};
static_assert(sizeof(struct wasi_abi_event) == 32, "witx");
static_assert(offsetof(struct wasi_abi_event, type) == 10, "witx");
static_assert(offsetof(struct wasi_abi_event, nbytes) == 16, "witx");
static_assert(offsetof(struct wasi_abi_event, flags) == 24, "witx");
