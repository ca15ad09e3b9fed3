/** What the cluster is doing by itself, and having it begin now. */

import { act, read } from '../api.js';
import { useData } from '../data.js';
import { count } from '../format.js';
import { html } from '../html.js';
import { Card, Empty, PageHead, Skeleton } from '../parts/basics.js';
import { ErrorNote } from '../parts/errors.js';
import { Icon } from '../parts/icons.js';
import { TaskLine } from '../parts/task-line.js';
import { complain, say } from '../parts/toasts.js';
import { t } from '../texts.js';

const BUSY_MILLIS = 2000;

export function Tasks() {
  const { data, error, loading, reload } = useData('tasks', (signal) => read('v1/tasks', { signal }), {
    on: (event) => ['task', 'worker', 'health', 'policy'].includes(event.kind), every: BUSY_MILLIS,
  });
  const order = async (what) => {
    try {
      await act('POST', `v1/admin/${what}`);
      say(t(`tasks.${what}_begun`));
    } catch (failed) {
      complain(failed, t(`tasks.${what}_failed`));
    }
    reload();
  };
  const tasks = data?.tasks ?? [];
  return html`<${PageHead} title=${t('page.tasks')} note=${t('tasks.note')}>
      ${['repair', 'rebalance', 'scrub'].map((what) => html`<button key=${what} type="button" class="button" title=${t(`tasks.${what}_why`)} onClick=${() => order(what)}>${t(`tasks.${what}`)}</button>`)}
    <//>
    ${error && html`<${ErrorNote} error=${error} retry=${reload} />`}
    ${!data && loading && html`<${Skeleton} lines=${5} />`}
    ${data && tasks.length === 0 && html`<${Empty} icon="shield" title=${t('tasks.none')} text=${t('tasks.none_text')} />`}
    ${tasks.length > 0 && html`<${Card}>${tasks.map((task) => html`<${TaskLine} key=${task.kind + task.disk_id} task=${task} />`)}<//>`}
    ${data?.more > 0 && html`<p class="page-note">${t('tasks.more', { count: data.more, n: count(data.more) })}</p>`}`;
}
