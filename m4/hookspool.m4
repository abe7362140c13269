# HOOKSPOOL_TRY_FLAG(VARIABLE, FLAG, [KIND])
# Appends FLAG to VARIABLE if the compiler takes it without a word, as an option for KIND (compile, the default, or link).
AC_DEFUN([HOOKSPOOL_TRY_FLAG], [
  AC_MSG_CHECKING([whether $CC takes $2])
  hookspool_save_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -Werror $2"
  m4_if([$3], [link],
    [AC_LINK_IFELSE([AC_LANG_PROGRAM()], [hookspool_takes=yes], [hookspool_takes=no])],
    [AC_COMPILE_IFELSE([AC_LANG_PROGRAM()], [hookspool_takes=yes], [hookspool_takes=no])])
  CFLAGS=$hookspool_save_CFLAGS
  AC_MSG_RESULT([$hookspool_takes])
  AS_IF([test $hookspool_takes = yes], [$1="$$1 $2"])
])

# Warnings. Left out: -Wconversion and -Wsign-conversion (system headers' macros and libfcgi's ints answer with hundreds of
# lines that say nothing), -Wswitch-default (it hides a missing case of an enum, which -Wswitch finds).
AC_DEFUN([HOOKSPOOL_WARNINGS], [
  m4_foreach_w([flag], [-Wall -Wextra -Wshadow -Wpointer-arith -Wwrite-strings -Wstrict-prototypes -Wmissing-prototypes
    -Wold-style-definition -Wundef -Wvla -Wformat=2 -Wcast-align -Wimplicit-fallthrough],
    [HOOKSPOOL_TRY_FLAG([HOOKSPOOL_CFLAGS], flag)])
  AC_SUBST([HOOKSPOOL_CFLAGS])
])

# What makes a mistake in memory harder to use. _FORTIFY_SOURCE needs optimisation, and the sanitizers do its work better.
AC_DEFUN([HOOKSPOOL_HARDENING], [
  m4_foreach_w([flag], [-fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE],
    [HOOKSPOOL_TRY_FLAG([HOOKSPOOL_CFLAGS], flag)])
  AS_CASE(["$CFLAGS"],
    [*-fsanitize=*|*-O0*|*_FORTIFY_SOURCE*], [],
    [*-O*], [HOOKSPOOL_TRY_FLAG([HOOKSPOOL_CFLAGS], [-D_FORTIFY_SOURCE=2])])
  HOOKSPOOL_LDFLAGS=
  HOOKSPOOL_PIE=
  HOOKSPOOL_TRY_FLAG([HOOKSPOOL_PIE], [-pie], [link])
  AS_IF([test "x$enable_static_program" = xyes], [HOOKSPOOL_KIND=-static-pie], [HOOKSPOOL_KIND=$HOOKSPOOL_PIE])
  m4_foreach([flag], [[-Wl,-z,relro], [-Wl,-z,now], [-Wl,-z,noexecstack], [-Wl,--as-needed]],
    [HOOKSPOOL_TRY_FLAG([HOOKSPOOL_LDFLAGS], [flag], [link])])
  AC_SUBST([HOOKSPOOL_LDFLAGS])
  AC_SUBST([HOOKSPOOL_PIE])
  AC_SUBST([HOOKSPOOL_KIND])
])

# HOOKSPOOL_LINKS(FLAGS, IF-SO, IF-NOT): whether FLAGS find the libraries, and all that these need in turn.
AC_DEFUN([HOOKSPOOL_LINKS], [
  hookspool_save_LIBS=$LIBS
  LIBS="$1 $LIBS"
  AC_LINK_IFELSE([AC_LANG_PROGRAM(
    [[char FCGX_Init(void), nettle_sha256_init(void), sqlite3_open(void), cfg_init(void), XXH3_64bits(void);]],
    [[return FCGX_Init() + nettle_sha256_init() + sqlite3_open() + cfg_init() + XXH3_64bits();]])],
    [hookspool_links=yes], [hookspool_links=no])
  LIBS=$hookspool_save_LIBS
  AC_MSG_RESULT([$hookspool_links])
  AS_IF([test $hookspool_links = yes], [$2], [$3])
])

# A CGI program is started for each request, and half of its time goes into loading shared libraries: so they are taken
# from their archives where these are there, all but the C library's.
AC_DEFUN([HOOKSPOOL_LIBRARIES], [
  HOOKSPOOL_LIBS="$FCGI_LIBS $NETTLE_LIBS $SQLITE_LIBS $CONFUSE_LIBS $XXHASH_LIBS"
  hookspool_archives="-Wl,-Bstatic $HOOKSPOOL_LIBS -Wl,-Bdynamic -lm"
  AS_IF([test "x$enable_static_program" = xyes],
    [AC_MSG_CHECKING([for archives of all libraries])
     HOOKSPOOL_LINKS([-static-pie $HOOKSPOOL_LIBS], [],
       [AC_MSG_ERROR([config.log says what is missing; on Debian it may be zlib1g-dev, for SQLite])])],
    [test "x$enable_archives" = xyes],
    [AC_MSG_CHECKING([for archives of the libraries])
     HOOKSPOOL_LINKS([$hookspool_archives], [HOOKSPOOL_LIBS=$hookspool_archives])])
  AC_SUBST([HOOKSPOOL_LIBS])
])
