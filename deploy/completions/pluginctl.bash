# Completion of pluginctl for bash. Plugin names come from the daemon; without one there are none to offer.

_pluginctl_names() {
  # Asks the pluginctl that is being typed, at the socket that is being typed.
  local i socket=()
  for ((i = 1; i + 1 < COMP_CWORD; i++)); do
    if [[ ${COMP_WORDS[i]} == --socket ]]; then
      if [[ ${COMP_WORDS[i + 1]} == = ]]; then ((i++)); fi
      socket=(--socket "${COMP_WORDS[i + 1]}")
    fi
  done
  "${COMP_WORDS[0]}" "${socket[@]}" __complete plugins 2>/dev/null
}

_pluginctl() {
  local verbs='status start stop restart reload enable disable logs events wait call top reattach info config plugin version'
  local states='STOPPED WAITING STARTING READY UNREADY DRAINING STOPPING BACKOFF QUARANTINED FAILED'
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
  COMPREPLY=()

  # bash takes "--for=READY" for three words.
  if [[ $cur == = ]]; then
    cur=''
  elif [[ $prev == = ]]; then
    prev=${COMP_WORDS[COMP_CWORD - 2]}
  fi

  # The verb, and the names given before the cursor: words that are neither options nor their values.
  local i word verb='' sub='' given=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    case $word in
      --socket | -o | --output | --timeout | --for | -n | --lines | --since-seq | --from | --plugin | --config | \
        -d | --data | --delay | --iterations | -H | --header | --proto | -I | --import | --max-message | --provider | \
        --cookie | --protocol-versions | --refuse | --only | --lang | --dir | --name)
        if [[ ${COMP_WORDS[i + 1]} == = ]]; then ((i++)); fi
        ((i++))
        ;;
      -*) ;;
      *)
        if [[ -z $verb ]]; then
          verb=$word
        elif [[ ($verb == config || $verb == plugin) && -z $sub ]]; then
          sub=$word
        else
          given+=("$word")
        fi
        ;;
    esac
  done

  case $prev in
    --socket | --config | --proto | --refuse)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$cur")
      return
      ;;
    -I | --import | --dir)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -d -- "$cur")
      return
      ;;
    -d | --data | --delay)
      if [[ $verb == top ]]; then return; fi
      # @FILE
      compopt -o filenames 2>/dev/null
      if [[ $cur == @* ]]; then mapfile -t COMPREPLY < <(compgen -P @ -f -- "${cur#@}"); fi
      return
      ;;
    -o | --output)
      local forms='text json'
      if [[ $verb == plugin ]]; then forms+=' tap junit'; fi
      mapfile -t COMPREPLY < <(compgen -W "$forms" -- "$cur")
      return
      ;;
    --timeout)
      mapfile -t COMPREPLY < <(compgen -W '10s 30s 1m 5m 0s' -- "$cur")
      return
      ;;
    --for)
      # A list: what stands before the last comma is kept.
      local before=''
      if [[ $cur == *,* ]]; then before=${cur%,*},; fi
      mapfile -t COMPREPLY < <(compgen -P "$before" -W "$states" -- "${cur##*,}")
      return
      ;;
    --plugin)
      mapfile -t COMPREPLY < <(compgen -W "$(_pluginctl_names)" -- "$cur")
      return
      ;;
    --max-message)
      mapfile -t COMPREPLY < <(compgen -W '4MiB 64MiB 1GiB' -- "$cur")
      return
      ;;
    --lang)
      mapfile -t COMPREPLY < <(compgen -W 'cpp go node python' -- "$cur")
      return
      ;;
    --only)
      mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" plugin test --list-rules 2>/dev/null | cut -f1)" -- "$cur")
      return
      ;;
    --cookie | --protocol-versions | --name) return ;;
    -n | --lines | --iterations | --since-seq | --from | -H | --header | --provider) return ;;
  esac

  if [[ -z $verb ]]; then
    local words=$verbs
    if [[ $cur == -* ]]; then words='--socket --help --version'; fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    return
  fi

  local options='--help --socket' most=0 # `most`: how many names the verb takes
  case $verb in
    status) options+=' --output --check' most=1 ;;
    start | stop | restart | reload | enable | disable) options+=' --no-wait --timeout' most=99 ;;
    logs) options+=' --follow --lines --since-seq --output' most=1 ;;
    events) options+=' --follow --lines --from --plugin --output' ;;
    wait) options+=' --for --timeout' most=1 ;;
    call)
      options+=' --data --header --proto --import --timeout --max-message --emit-defaults --verbose --output' most=1
      ;;
    top) options+=' --methods --batch --iterations --delay --output' ;;
    reattach) options+=' --provider --gateway' most=1 ;;
    info | version) options+=' --output' ;;
    config)
      if [[ -z $sub && $cur != -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W 'check show' -- "$cur")
        return
      fi
      options+=' --config --output'
      if [[ $sub == show ]]; then options+=' --origin' most=1; fi
      ;;
    plugin)
      if [[ -z $sub && $cur != -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W 'new run test' -- "$cur")
        return
      fi
      case $sub in
        new) options+=' --lang --dir' ;;
        run) options+=' --watch --attach --config --name' ;;
        test) options+=' --cookie --protocol-versions --tcp --config --refuse --timeout --only --list-rules --output' ;;
      esac
      if [[ $sub != new && $cur != -* ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
      fi
      ;;
  esac

  if [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
  elif ((${#given[@]} < most)); then
    local name names=()
    while read -r name; do
      if [[ " ${given[*]} " != *" $name "* ]]; then names+=("$name"); fi
    done < <(_pluginctl_names)
    mapfile -t COMPREPLY < <(compgen -W "${names[*]}" -- "$cur")
  fi
}

complete -F _pluginctl pluginctl
