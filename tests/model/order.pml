/* The reader's argument (doc/journal.md, Order): an event that was sent after another one's 200 is never taken before it,
 * whatever processes received the two; and each is taken, once. A macro takes out a guard: tests/model/run has the list. */

#define EVENTS   3 /* two of one sender, one of another */
#define SEGMENTS (1 + EVENTS) /* a receiver that lives on; one for each event that CGI may receive */
#define NONE     255
#define BIT(e)   (1 << (e))
#define ALL      (BIT(EVENTS) - 1)

/* On disk. A line is there when it is written. */
bool born[SEGMENTS], held[SEGMENTS];
byte size[SEGMENTS];
byte line[SEGMENTS * EVENTS];
#define LINE(s, n) line[(s) * EVENTS + (n)]

byte clock;
byte key[EVENTS];    /* received_at */
byte before[EVENTS]; /* a set: whose 200 somebody had when this one was sent */
byte acked;          /* a set */
byte ended;

/* The reader's. */
bool seen[SEGMENTS], sealed[SEGMENTS];
byte cursor[SEGMENTS], first[SEGMENTS], second[SEGMENTS];
byte taken; /* a set */

/* Whoever receives reads the clock, which is another one each time. */
inline receive(e)
{
	atomic {
		before[e] = acked;
		clock++;
		key[e] = clock;
#ifdef CLOCK_GOES_BACK
		if
		:: true
		:: key[e] = 0
		fi
#endif
	}
}

/* The committer of a receiver is one thread, and nobody looks at a segment between its birth and its lock but to put it
 * away, which the writer sees. */
inline append(s, e)
{
	atomic {
		if
		:: !born[s] -> born[s] = true; held[s] = true
		:: else
		fi
	};
	atomic {
		LINE(s, size[s]) = e;
		size[s]++
	}
}

/* Waits for each 200. By CGI each event has a segment of its own; the others are written by receivers that live on. */
proctype sender(byte e; byte count)
{
	byte s;
	do
	:: count == 0 -> break
	:: count > 0 ->
		receive(e);
		if
		:: s = 0
		:: s = 1 + e
		fi;
		append(s, e);
		acked = acked | BIT(e);
		held[s] = held[s] && s == 0;
		e++;
		count--
	od;
	atomic {
		ended++;
		if
		:: ended == 2 -> held[0] = false
		:: else
		fi
	}
}

/* What a listing says of a name that stood there when it began is sure; what came meanwhile may be in it. */
inline list_segments()
{
	i = 0;
	do
	:: i == SEGMENTS -> break
	:: i < SEGMENTS ->
		d_step {
			seen[i] = seen[i] || born[i];
			i++
		}
	od
}

#define is_finished(s) (sealed[s] && cursor[s] >= second[s] && second[s] > 0)

inline look_first()
{
	i = 0;
	do
	:: i == SEGMENTS -> break
	:: i < SEGMENTS ->
		d_step {
			first[i] = (seen[i] && !is_finished(i) -> size[i] : cursor[i]);
			i++
		}
	od
}

inline look_again()
{
	i = 0;
	do
	:: i == SEGMENTS -> break
	:: i < SEGMENTS && (!seen[i] || is_finished(i)) -> i++
	:: i < SEGMENTS && seen[i] && !is_finished(i) ->
#ifdef SIZE_BEFORE_LOCK
		second[i] = size[i];
		sealed[i] = !held[i];
#else
		sealed[i] = !held[i];
		second[i] = size[i];
#endif
		if
		:: can_fail && second[i] > cursor[i] -> unread = i; sealed[i] = false; can_fail = false
		:: true
		fi;
		i++
	od
}

#define head(s) key[LINE(s, cursor[s])]

/* The next one in order among what the second look saw. */
inline pick()
{
	best = NONE; owed = false; i = 0;
	do
	:: i == SEGMENTS -> break
	:: i < SEGMENTS && (!seen[i] || cursor[i] >= second[i]) -> i++
#ifdef UNREAD_IS_SKIPPED
	:: i < SEGMENTS && i == unread -> i++
#else
	:: i < SEGMENTS && i == unread -> owed = false; break /* it may have what is next */
#endif
	:: i < SEGMENTS && i != unread && seen[i] && cursor[i] < second[i] ->
		owed = owed || cursor[i] < first[i];
#ifdef ALL_THAT_IS_SEEN
		owed = true;
#endif
		if
		:: best == NONE -> best = i
#ifndef NOT_MERGED
		:: best != NONE && head(i) < head(best) -> best = i
#endif
		:: else
		fi;
		i++
	od
}

inline take()
{
	e = LINE(best, cursor[best]);
	assert((before[e] & ~taken) == 0);
	assert((taken & BIT(e)) == 0);
	taken = taken | BIT(e);
	cursor[best]++
}

/* A round ends when nothing is owed any more; or before, for it is bounded. */
inline merge()
{
	do
	:: d_step { pick(); i = 0 };
		if
		:: owed -> d_step { take(); best = 0; e = 0; owed = false }
		:: !owed -> break
		fi
	:: bounded = true; break
	od
}

/* Nothing of a round is known in the next one, but what is finished. */
inline forget()
{
	d_step {
		i = 0;
		do
		:: i == SEGMENTS -> break
		:: i < SEGMENTS ->
			seen[i] = false;
			first[i] = 0;
			second[i] = (is_finished(i) -> second[i] : 0);
			sealed[i] = second[i] > 0;
			i++
		od;
		i = 0; e = 0; best = 0; unread = NONE; owed = false; bounded = false
	}
}

active proctype deliverer()
{
	byte i, e, best, unread = NONE;
	bool owed, last, can_fail = true, bounded;
	do
	:: last && taken == ALL -> break
	:: else ->
		last = ended == 2;
		list_segments();
		look_first();
#ifndef ONE_LIST
		list_segments();
#endif
#ifndef ONE_LOOK
		look_again();
#else
		i = 0;
		do
		:: i == SEGMENTS -> break
		:: i < SEGMENTS -> second[i] = first[i]; i++
		od;
#endif
		merge();
		/* All was there when this round began. */
		assert(!last || taken == ALL || unread != NONE || bounded);
		forget()
	od
}

init
{
	atomic {
		run sender(0, 2);
		run sender(2, 1)
	}
}
