# Completion of pluginctl for fish. Plugin names come from the daemon; without one there are none to offer.

set -l verbs status start stop restart reload enable disable logs events wait call top reattach info config plugin version
set -l changes start stop restart reload enable disable
set -l states STOPPED WAITING STARTING READY UNREADY DRAINING STOPPING BACKOFF QUARANTINED FAILED

# The words before the cursor that are neither options nor their values; the first is the verb.
function __pluginctl_plain
    set -l words (commandline -opc)
    set -e words[1]
    set -l skip 0
    for word in $words
        if test $skip = 1
            set skip 0
        else if contains -- $word --socket -o --output --timeout --for -n --lines --since-seq --from --plugin --config \
                -d --data --delay --iterations -H --header --proto -I --import --max-message --provider \
                --cookie --protocol-versions --refuse --only --lang --dir --name
            set skip 1
        else if not string match -q -- '-*' $word
            echo $word
        end
    end
end

function __pluginctl_verb_is
    set -l plain (__pluginctl_plain)
    test (count $plain) -gt 0; and contains -- $plain[1] $argv
end

# Whether fewer than this many names were given to the verb.
function __pluginctl_names_left
    test (count (__pluginctl_plain)) -le $argv[1]
end

function __pluginctl_names
    set -l words (commandline -opc)
    set -l socket
    if set -l at (contains -i -- --socket $words); and set -q words[(math $at + 1)]
        set socket --socket $words[(math $at + 1)]
    else if set -l joined (string match -r -- '^--socket=(.*)' $words)
        set socket --socket $joined[2]
    end
    set -l given (__pluginctl_plain)
    for name in ($words[1] $socket __complete plugins 2>/dev/null)
        contains -- $name $given; or echo $name
    end
end

# What was typed of a list up to its last comma, with each state after it.
function __pluginctl_state_list
    set -l before (string replace -r -- '^--for=' '' (commandline -ct) | string match -r -- '.*,' | string collect)
    for state in $argv
        echo "$before$state"
    end
end

complete -c pluginctl -f
complete -c pluginctl -s h -l help -d 'Print help'
complete -c pluginctl -l socket -r -F -d "plugind's socket"
complete -c pluginctl -n 'not __pluginctl_plain | string length -q' -l version -d 'Print the version'

for pair in 'status:Show all plugins, or one in detail' 'start:Start plugins' 'stop:Stop plugins' \
        'restart:Stop plugins and start them again' 'reload:Read the configuration again' \
        'enable:Allow plugins to run, and start them' 'disable:Stop plugins and refuse to start them' \
        'logs:Show a plugin\'s log' 'events:Show changes of state' 'wait:Wait until a plugin is in a state' \
        'call:Call a method of a plugin' 'top:Show what passes through the gateway' 'reattach:Print how a host built on go-plugin attaches' \
        'info:Show the daemon itself' 'config:Look at the configuration files' 'plugin:Make, try and test a plugin of your own' 'version:Show the version of pluginctl'
    set -l split (string split -m 1 : -- $pair)
    complete -c pluginctl -n 'not __pluginctl_plain | string length -q' -a $split[1] -d $split[2]
end

complete -c pluginctl -n "__pluginctl_verb_is $changes" -a '(__pluginctl_names)' -d Plugin
complete -c pluginctl -n '__pluginctl_verb_is status logs wait call reattach; and __pluginctl_names_left 1' -a '(__pluginctl_names)' -d Plugin

complete -c pluginctl -n '__pluginctl_verb_is status logs events call top info config version' -s o -l output -x -a 'text json' -d 'How to print'
complete -c pluginctl -n '__pluginctl_verb_is status' -l check -d 'Exit with 3 unless every wanted plugin is READY'
complete -c pluginctl -n "__pluginctl_verb_is $changes" -l no-wait -d 'Return as soon as plugind has taken the request'
complete -c pluginctl -n "__pluginctl_verb_is $changes wait call" -l timeout -x -a '10s 30s 1m 5m 0s' -d 'How long to wait'
complete -c pluginctl -n '__pluginctl_verb_is logs events' -s f -l follow -d 'Go on with new ones'
complete -c pluginctl -n '__pluginctl_verb_is logs events' -s n -l lines -x -d 'Start with the newest N'
complete -c pluginctl -n '__pluginctl_verb_is logs' -l since-seq -x -d 'Start with entry N'
complete -c pluginctl -n '__pluginctl_verb_is events' -l from -x -d 'Start with event N'
complete -c pluginctl -n '__pluginctl_verb_is events' -l plugin -x -a '(__pluginctl_names)' -d "Only this plugin's"
complete -c pluginctl -n '__pluginctl_verb_is wait' -l for -x -a "(__pluginctl_state_list $states)" -d 'One of these states'
complete -c pluginctl -n '__pluginctl_verb_is call' -s d -l data -x -d 'Requests as JSON, @FILE or -'
complete -c pluginctl -n '__pluginctl_verb_is call' -s H -l header -x -d 'Metadata to send'
complete -c pluginctl -n '__pluginctl_verb_is call' -l proto -r -F -d 'File with the types'
complete -c pluginctl -n '__pluginctl_verb_is call' -s I -l import -x -a '(__fish_complete_directories)' -d 'Where imports are looked for'
complete -c pluginctl -n '__pluginctl_verb_is call' -l max-message -x -a '4MiB 64MiB 1GiB' -d 'The largest message to take'
complete -c pluginctl -n '__pluginctl_verb_is call' -l emit-defaults -d 'Print fields without a value as well'
complete -c pluginctl -n '__pluginctl_verb_is call' -s v -l verbose -d 'Print headers and trailers'
complete -c pluginctl -n '__pluginctl_verb_is top' -l methods -d 'A row for each method'
complete -c pluginctl -n '__pluginctl_verb_is top' -s b -l batch -d 'One table below the other'
complete -c pluginctl -n '__pluginctl_verb_is top' -s n -l iterations -x -d 'End after N tables'
complete -c pluginctl -n '__pluginctl_verb_is top' -s d -l delay -x -a '1 2 5 10' -d 'Seconds between two tables'
complete -c pluginctl -n '__pluginctl_verb_is reattach' -l provider -x -d 'As TF_REATTACH_PROVIDERS wants it'
complete -c pluginctl -n '__pluginctl_verb_is reattach' -l gateway -d 'Through plugind'

complete -c pluginctl -n '__pluginctl_verb_is config; and __pluginctl_names_left 1' -a check -d 'List every error'
complete -c pluginctl -n '__pluginctl_verb_is config; and __pluginctl_names_left 1' -a show -d 'Print every setting'
complete -c pluginctl -n '__pluginctl_verb_is config; and contains show (__pluginctl_plain); and __pluginctl_names_left 2' -a '(__pluginctl_names)' -d Plugin
complete -c pluginctl -n '__pluginctl_verb_is config' -l config -r -F -d plugind.toml
complete -c pluginctl -n '__pluginctl_verb_is config; and contains show (__pluginctl_plain)' -l origin -d 'Say where each setting comes from'

complete -c pluginctl -n '__pluginctl_verb_is plugin; and __pluginctl_names_left 1' -a new -d 'Make a project'
complete -c pluginctl -n '__pluginctl_verb_is plugin; and __pluginctl_names_left 1' -a run -d 'Run it under a plugind of its own'
complete -c pluginctl -n '__pluginctl_verb_is plugin; and __pluginctl_names_left 1' -a test -d 'Check that it keeps the rules'
set -l making '__pluginctl_verb_is plugin; and contains new (__pluginctl_plain)'
set -l running '__pluginctl_verb_is plugin; and contains run (__pluginctl_plain)'
set -l testing '__pluginctl_verb_is plugin; and contains test (__pluginctl_plain)'
complete -c pluginctl -n $making -l lang -x -a 'cpp go node python' -d 'The language'
complete -c pluginctl -n $making -l dir -x -a '(__fish_complete_directories)' -d 'Where it is put'
complete -c pluginctl -n "$running; or $testing" -F
complete -c pluginctl -n $running -s w -l watch -d 'Swap it when its file changes'
complete -c pluginctl -n $running -l attach -d 'Print the environment for starting it by hand'
complete -c pluginctl -n $running -l config -r -F -d "The plugin's file"
complete -c pluginctl -n $running -l name -x -d 'What plugind calls it'
complete -c pluginctl -n $testing -l cookie -x -d 'Its magic cookie, KEY=VALUE'
complete -c pluginctl -n $testing -l protocol-versions -x -d 'The versions that it may choose from'
complete -c pluginctl -n $testing -l tcp -d 'It may listen on TCP'
complete -c pluginctl -n $testing -l config -r -F -d 'Settings that it must take'
complete -c pluginctl -n $testing -l refuse -r -F -d 'Settings that it must refuse'
complete -c pluginctl -n $testing -l timeout -x -a '10s 30s 1m 5m 0s' -d 'How long a start or an end may take'
complete -c pluginctl -n $testing -l only -x -a '(pluginctl plugin test --list-rules 2>/dev/null | cut -f1,3)' -d 'Check this rule alone'
complete -c pluginctl -n $testing -l list-rules -d 'Print the rules'
complete -c pluginctl -n $testing -s o -l output -x -a 'tap junit json text' -d 'How to print'
