/* How a deliverer is started, handed over to and ended (doc/journal.md, The trigger): somebody always delivers what was
 * committed, and at most one waits beside the one that delivers, whatever becomes of the names `trigger` and
 * `deliver.lock`. A macro takes out a guard: tests/model/run has the list. */

#define RECEIVERS 3 /* commits, each by a process of its own */
#define REMOVALS  2
#define NONE      0

bool fresh;      /* something is committed that no look has seen */
byte name;       /* the FIFO that is called `trigger` now; NONE: there is none */
byte made;       /* FIFOs that were ever made */
byte readers[5]; /* how many have it open to read */
bool rung[5];    /* a byte is in it */
bool seat, place;/* taken */
byte alive;      /* processes that run `hookspool deliver` */
byte busy;       /* receivers that have not ended, and whoever removes names */

inline make_trigger()
{
	if
	:: name == NONE -> made++; name = made
	:: else
	fi
}

/* The answer is whether somebody reads. */
inline ring(answer)
{
	atomic {
		answer = name != NONE && readers[name] > 0;
		if
		:: answer -> rung[name] = true
		:: else
		fi
	}
}

inline leave()
{
	d_step { alive--; ear = NONE; i = 0 }
}

inline listen()
{
	d_step {
		make_trigger();
		ear = name;
		readers[ear]++
	}
}

inline deafen()
{
	d_step {
		if
		:: ear != NONE ->
			readers[ear]--;
			rung[ear] = (readers[ear] > 0 && rung[ear]); /* what nobody reads any more is gone */
			ear = NONE
		:: else
		fi
	}
}

inline look(found)
{
	d_step { found = fresh; fresh = false }
}

/* It was started by somebody who had taken the place for it. */
proctype deliverer()
{
	byte ear, i;
	bool awake, found;
waits:
	do
	:: atomic { !seat -> seat = true }; break
	:: seat ->
#ifdef YIELDS_UNHEARD
		awake = true;
#else
		ring(awake);
#endif
		if
		:: awake ->
			atomic { place = false; leave() };
			goto end
		:: !awake
		fi
	od;
	listen();
	place = false;
	look(found);
delivers:
	do
	:: ear != NONE && rung[ear] -> rung[ear] = false; look(found)
	:: look(found); /* every few seconds; with the names */
		if
		:: name != ear -> deafen(); listen(); look(found)
		:: else
		fi
	:: break /* idle for long enough */
	od;
#ifdef LAST_LOOK_BEFORE_END
	look(found);
#endif
	deafen();
#ifndef PLACE_NOT_ASKED
	if
	:: place -> listen(); goto delivers
	:: !place
	fi;
#endif
#ifndef LAST_LOOK_BEFORE_END
	look(found);
	if
	:: found -> listen(); goto delivers
	:: !found
	fi;
#endif
	atomic { seat = false; leave() };
end:
	skip
}

proctype receiver()
{
	bool awake;
	fresh = true; /* the commit */
	ring(awake);
	if
	:: awake
	:: !awake ->
#ifdef NO_PLACE
		atomic { place = true; alive++; run deliverer() }
#else
		if
		:: atomic { !place -> place = true; alive++; run deliverer() }
		:: place
		fi
#endif
	fi;
	busy--
}

/* A cleaning job. Seat and place are locks of folders, which stay. */
proctype cleaner()
{
	byte left = REMOVALS;
	do
	:: left > 0 ->
		name = NONE;
#ifdef LOCKS_ARE_FILES
		seat = false; place = false;
#endif
		left--
	:: break
	od;
	busy--
}

proctype monitor()
{
	do
	:: alive > 2 -> assert(false)
	:: atomic { busy == 0 && alive == 0 -> assert(!fresh); break }
	od
}

init
{
	atomic {
		busy = RECEIVERS + 1;
		run receiver();
		run receiver();
		run receiver();
		run cleaner();
		run monitor()
	}
}
