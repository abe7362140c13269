# Bash completion for hookspool. Source this file from ~/.bashrc, or install it as
# /usr/share/bash-completion/completions/hookspool.

_hookspool() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local command= conf=() words= i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-c) conf=(-c "${COMP_WORDS[++i]}") ;;
		-*) ;;
		*)
			command=${COMP_WORDS[i]}
			break
			;;
		esac
	done
	COMPREPLY=()

	# Values of options.
	case $command:$before in
	:-c) ;&
	serve:-s)
		compopt -o filenames 2>/dev/null
		COMPREPLY=($(compgen -f -- "$word"))
		return
		;;
	sign:--type) words='VIRTUAL NATIVE INITIAL-PARTIAL INITIAL-COMPLETE' ;;
	sign:--event) words='created updated deleted' ;;
	sign:--algorithm) words='sha1 sha256 both' ;;
	sign:--encoding) words='base64 hex' ;;
	sign:--object | sign:--connection | sign:--nonce | replay:--since) return ;;
	sign:--endpoint | verify:--endpoint)
		words=$(hookspool "${conf[@]}" check 2>/dev/null | sed -n 's/^endpoint  *//p')
		;;
	replay:--target)
		words=$(hookspool "${conf[@]}" check 2>/dev/null | sed -n 's/^target  *//p')
		;;
	*)
		# The commands, or a command's options: those in its usage line and at the beginning of the help's lines.
		if [ -z "$command" ]; then
			words="-c -h -V $(hookspool -h 2>/dev/null | sed -n 's/^    \([a-z]*\) .*/\1/p')"
		else
			words="--help $(hookspool "$command" --help 2>/dev/null |
				sed -n '1s/.*FILE\]//p; s/^    \(-[^ ]*\( --[^ ]*\)*\).*/\1/p' | grep -oe '--*[a-z][a-z-]*')"
		fi
		# Identities of parked events.
		case $command:$word in
		show:-* | retry:-* | drop:-*) ;;
		show:* | retry:* | drop:*)
			words="$words $(hookspool "${conf[@]}" parked 2>/dev/null | sed -n 's/^\([0-9a-f]\{32\}\) .*/\1/p' | sort -u)"
			;;
		sign:[!-]* | sign: | verify:[!-]* | verify:)
			compopt -o filenames 2>/dev/null
			COMPREPLY=($(compgen -f -- "$word"))
			return
			;;
		esac
		;;
	esac
	COMPREPLY=($(compgen -W "$words" -- "$word"))
}

complete -F _hookspool hookspool
