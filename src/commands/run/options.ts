import { flag, text } from '../../core/options/option.ts';

export const runOptions = {
  'keep-going': flag({ description: 'after a failure, go on with the steps that do not need what failed' }),
  'dry-run': flag({ description: 'check the plan, print its graph as JSON, and do nothing' }),
  'print-role': flag({
    description:
      'print the Roles and RoleBindings that the steps together need, those that wait for objects of the cluster, and do nothing',
  }),
  account: text({
    description:
      'for --print-role: who gets the Roles, as [NAMESPACE/]NAME; unset, default in the namespace of the pod',
    placeholder: 'NAME',
  }),
};
