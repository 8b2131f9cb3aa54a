# Tab completes programs, choices, keys and values behind `python -m src.`, in this shell: source completion.bash

_lr_lab_completion() {
    local line=${COMP_LINE:0:COMP_POINT} words word start choices
    read -ra words <<< "$line"
    [[ ${words[1]} == -m ]] || return # anything else is completed as usual
    word=${words[-1]}
    [[ $line == *" " ]] && word=
    if [[ ${#words[@]} -lt 3 || (${#words[@]} -eq 3 && -n $word) ]]; then
        [[ -d src ]] || return
        choices=$(printf '%s\n' src/*.py | sed 's/\.py$//; s/^src\//src./; /__init__/d')
    elif [[ $word == study=* && -d conf/studies ]]; then
        choices=$(printf '%s\n' conf/studies/*.yaml outputs/*/ | sed -E 's/\.yaml$|\/$//; s/.*\//study=/; /[*]|=reports$/d' | sort -u)
    elif [[ ${words[2]} == src.* ]]; then
        # Of several values, strategy=epoch,cutoff, the last one is completed.
        start=${word%"${word##*[=,[]}"}
        [[ $start == *[,[] ]] && line="${line%"$word"}${word%%=*}=${word#"$start"}"
        choices=$(COMP_LINE="program ${line#*"${words[2]}"}" "${words[0]}" -m "${words[2]}" -sc query=bash 2> /dev/null)
        [[ $start == *[,[] ]] && choices=$(tr ' ' '\n' <<< "$choices" | sed "s/^[^=]*=/${start//[/\\[}/")
    fi
    mapfile -t COMPREPLY < <(compgen -W "${choices//[/\\[}" -- "$word")
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=./] ]] && compopt -o nospace
    # Readline replaces what follows the last equals sign.
    [[ $word == *=* && $COMP_WORDBREAKS == *=* ]] && COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*=}"}"}")
}

complete -o bashdefault -o default -F _lr_lab_completion python python3 .venv/bin/python
